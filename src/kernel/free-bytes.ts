/**
 * Frees the bytes of a large buffer at once, which the garbage collector would do some time later: a megabyte each for all codes
 * of a column, until then, that malloc then may not be able to give back. The buffer is empty afterwards, and so are all views on it.
 *
 * A message to a port that is closed takes what is transferred with it to its end. 50 µs for a megabyte.
 */
export function freeBytes({ buffer }: Uint8Array): void {
  port ??= closedPort();
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= LARGE_BYTES) port.postMessage(undefined, [buffer]);
}

/** Smaller ones may lie in a pool of Node's, and are no burden. */
const LARGE_BYTES = 100_000;

type Port = InstanceType<typeof MessageChannel>["port1"];
let port: Port | undefined;

function closedPort(): Port {
  const { port1 } = new MessageChannel();
  port1.close();
  return port1;
}

/**
 * Has bytes freed soon, by small collections: for those that a search reads again and again, since malloc would give memory that is freed
 * at once back to the system, and have to get it again. Bytes lie outside of V8's heap, so that they would else wait for
 * collections of all of it, for a quarter of a search's time (bench/README.md). Throwaway arrays fill V8's nursery sooner.
 */
export function freeBytesSoon({ length }: Uint8Array): void {
  fillNursery(Math.floor(length / BALLAST));
}

/** Bytes for each element of such an array. */
const BALLAST = 96;

/** Puts a throwaway array of so many elements, 8 bytes each, into V8's nursery, in the place of the one before. */
export function fillNursery(elements: number): void {
  ballast.length = 0;
  ballast = new Array(elements).fill(0);
}

let ballast: number[] = [];
