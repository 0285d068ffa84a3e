// What a scan has found so far: the k largest lower bounds, whose least is the threshold, and the rows that can still be among the
// k most similar. kernel/scan.ts draws the state.

// @ts-ignore: decorator
@inline
export function thresholdOf(state: usize): f64 {
  return load<f64>(state);
}

/** Enters a value into a heap of the `most` largest, the least on top. Returns its new size. */
export function enter(heap: usize, size: i32, most: i32, value: f64): i32 {
  let i: i32;
  if (size < most) {
    i = size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = load<f64>(heap + (<usize>parent << 3));
      if (above <= value) break;
      store<f64>(heap + (<usize>i << 3), above);
      i = parent;
    }
  } else {
    if (!(value > load<f64>(heap))) return size;
    i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && load<f64>(heap + (<usize>(child + 1) << 3)) < load<f64>(heap + (<usize>child << 3))) child++;
      const below = load<f64>(heap + (<usize>child << 3));
      if (below >= value) break;
      store<f64>(heap + (<usize>i << 3), below);
      i = child;
    }
  }
  store<f64>(heap + (<usize>i << 3), value);
  return size;
}

/** Enters an f32 and a place, u32, into a heap of the `most` largest, the least on top. Returns its new size. */
export function enterBest(heap: usize, size: i32, most: i32, value: f32, place: u32): i32 {
  let i: usize;
  if (size < most) {
    i = <usize>(size++);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (load<f32>(heap + (parent << 3)) <= value) break;
      store<u64>(heap + (i << 3), load<u64>(heap + (parent << 3)));
      i = parent;
    }
  } else {
    if (!(value > load<f32>(heap))) return size;
    i = 0;
    for (const end = <usize>size; ; ) {
      let child: usize = 2 * i + 1;
      if (child >= end) break;
      if (child + 1 < end && load<f32>(heap + ((child + 1) << 3)) < load<f32>(heap + (child << 3))) child++;
      if (load<f32>(heap + (child << 3)) >= value) break;
      store<u64>(heap + (i << 3), load<u64>(heap + (child << 3)));
      i = child;
    }
  }
  store<f32>(heap + (i << 3), value);
  store<u32>(heap + (i << 3), place, 4);
  return size;
}

/** Enters a lower bound; with k of them the least is the threshold. */
export function offer(state: usize, lower: f64): void {
  const heap = <usize>load<u32>(state, 24);
  const k = load<i32>(state, 8);
  const size = enter(heap, load<i32>(state, 12), k, lower);
  store<i32>(state, size, 12);
  if (size == k) store<f64>(state, max(thresholdOf(state), load<f64>(heap)));
}

/** Drops the rows found that the threshold has overtaken since. Returns how many are left. */
export function settle(state: usize): i32 {
  const found = load<i32>(state, 16);
  const list = <usize>load<u32>(state, 28);
  const threshold = thresholdOf(state);
  let kept: usize = list;
  for (let at = list, end = list + (<usize>found << 4); at < end; at += 16) {
    if (load<f64>(at) < threshold) continue;
    v128.store(kept, v128.load(at));
    kept += 16;
  }
  const left = <i32>((kept - list) >> 4);
  store<i32>(state, left, 16);
  return left;
}

/** Notes a row whose bounds let it in, unless more rows are left than the list was made for. */
export function note(state: usize, row: i32, upper: f64): void {
  if (load<i32>(state, 32) != 0) return;
  let found = load<i32>(state, 16);
  const capacity = load<i32>(state, 20);
  if (found == capacity) {
    found = settle(state);
    if (found > capacity >> 1) {
      store<i32>(state, 1, 32);
      return;
    }
  }
  const at = <usize>load<u32>(state, 28) + (<usize>found << 4);
  store<f64>(at, upper);
  store<i32>(at, row, 8);
  store<i32>(state, found + 1, 16);
}
