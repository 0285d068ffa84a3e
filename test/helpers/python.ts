import { spawnSync } from "node:child_process";

/**
 * Python itself: a `python3` that first looks which one is meant takes a tenth of a second at every start. With `-IS` it starts
 * without packages and in a third of the time.
 */
export const python =
  spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).stdout?.trim() || "python3";
