/** Compiles only for `true`. */
export type Expect<T extends true> = T;

/** Whether two types are the same in every respect, `any` and optional fields included. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** The type of an expression, in place of running it. */
export declare function typeOf<T>(work: () => T): T;
