export { type EvaluateOptions, type Evaluation, evaluate, type Measures, type Qrels } from "./eval/evaluate.ts";
export { type DocumentId, hitAt, type Judgements, ndcgAt, recallAt, reciprocalRankAt } from "./eval/measures.ts";
