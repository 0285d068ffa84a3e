import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  update(stage: string, done: number, total: number): void;
  stop(): void;
}

/** A progress bar for each stage; in a log, where nothing can be redrawn, one line for each. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  let stage = "";
  let bar: SingleBar | undefined;
  const stop = () => {
    bar?.stop();
    bar = undefined;
    stage = "";
  };
  const begin = (name: string, total: number) => {
    stop();
    stage = name;
    if (stream.isTTY) {
      bar = new SingleBar(
        { format: `${name.padEnd(25)} {bar} {percentage}%`, hideCursor: true, stream },
        Presets.shades_classic,
      );
      bar.start(total, 0);
    } else {
      stream.write(`${name} …\n`);
    }
  };
  return {
    update(name, done, total) {
      if (name !== stage) begin(name, total);
      bar?.update(done);
      if (done === total) stop();
    },
    stop,
  };
}
