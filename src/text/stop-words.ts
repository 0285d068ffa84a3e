/**
 * English words that say how a question is asked and not what it is about. Question words and pronouns matter more than
 * articles here: what people type are questions. `bench/quality` measures what leaving them out gains.
 */
export const ENGLISH_STOP_WORDS: ReadonlySet<string> = new Set(
  `a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will
   with i me my we our you your he she his her him its them can could do does did doing has have had having been being am were
   from what which who whom whose when where why how would should so than too also about`.split(/\s+/),
);
