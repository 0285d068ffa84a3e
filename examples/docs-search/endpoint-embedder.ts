import { setTimeout as sleep } from "node:timers/promises";
import type { Embedder, PassageText } from "./embedder.ts";
import { DIMENSIONS, type Vector } from "./schema.ts";

export interface EndpointOptions {
  /** Base address of an OpenAI-compatible API, such as `http://localhost:11434/v1`, or of its `/embeddings` itself. */
  url: string;
  model: string;
  /** Sent as a bearer token; local servers often need none. */
  key?: string | undefined;
  /** Pause before the first retry, doubled for each further one; default 500. */
  retryMs?: number;
}

const ATTEMPTS = 4;
const TIMEOUT_MS = 60_000;

/** The endpoint named by `DEMO_EMBEDDINGS_URL`, `DEMO_EMBEDDINGS_MODEL` and `DEMO_EMBEDDINGS_KEY`; undefined without the first. */
export function endpointFromEnvironment(env: NodeJS.ProcessEnv): EndpointOptions | undefined {
  const { DEMO_EMBEDDINGS_URL: url, DEMO_EMBEDDINGS_MODEL: model, DEMO_EMBEDDINGS_KEY: key } = env;
  if (!url && !model && !key) return undefined;
  if (!url || !model) {
    const missing = url ? "DEMO_EMBEDDINGS_MODEL" : "DEMO_EMBEDDINGS_URL";
    throw new Error(
      `${missing} is not set. An embeddings endpoint needs both a URL and a model; unset all for the built-in model.`,
    );
  }
  if (!URL.canParse(url))
    throw new Error(`DEMO_EMBEDDINGS_URL: expected an address like http://localhost:11434/v1, got ${url}`);
  return { url, model, key };
}

/** Embeddings of any OpenAI-compatible endpoint, one request for each call. */
export function endpointEmbedder(options: EndpointOptions): Embedder {
  const url = `${options.url.replace(/\/+$/, "").replace(/\/embeddings$/, "")}/embeddings`;
  return {
    name: `${options.model} at ${url}`,
    embedPassages: (passages) => request(url, options, passages.map(textOf)),
    embedQuestion: async (question) => (await request(url, options, [question]))[0]!,
  };
}

function textOf({ package: name, file, heading, text }: PassageText): string {
  return `${name}/${file}: ${heading}\n\n${text}`;
}

async function request(url: string, options: EndpointOptions, input: string[]): Promise<Vector[]> {
  const body = JSON.stringify({ model: options.model, input, dimensions: DIMENSIONS, encoding_format: "float" });
  const answer = await postWithRetries(url, options, body);
  const { data } = answer as { data?: { index: number; embedding: number[] }[] };
  if (!Array.isArray(data) || data.length !== input.length) {
    throw new Error(
      `${url}: expected ${input.length} embeddings in "data", got ${JSON.stringify(answer).slice(0, 200)}`,
    );
  }
  return [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => fitted(embedding, url, options.model));
}

/**
 * The first `DIMENSIONS` numbers, scaled to unit length. Servers that ignore `dimensions` send whole vectors; the start of
 * one is what they would have sent for models trained for it ("Matryoshka"), which most of today's are.
 */
function fitted(embedding: number[], url: string, model: string): Vector {
  if (!Array.isArray(embedding) || embedding.length < DIMENSIONS) {
    throw new Error(
      `${url}: expected at least ${DIMENSIONS} dimensions, got ${embedding?.length ?? typeof embedding} from ${model}. ` +
        "Choose a model with longer vectors.",
    );
  }
  const vector = Float32Array.from(embedding.slice(0, DIMENSIONS));
  const length = Math.hypot(...vector);
  return vector.map((value) => (length === 0 ? 0 : value / length));
}

async function postWithRetries(url: string, { key, retryMs = 500 }: EndpointOptions, body: string): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    const failure = await post(url, key, body);
    if ("answer" in failure) return failure.answer;
    if (!failure.isTemporary || attempt === ATTEMPTS) {
      throw new Error(failure.message + (attempt > 1 ? ` (tried ${attempt} times)` : ""), { cause: failure.cause });
    }
    await sleep(failure.waitMs ?? retryMs * 2 ** (attempt - 1));
  }
}

type Outcome =
  | { answer: unknown }
  | { message: string; isTemporary: boolean; waitMs?: number | undefined; cause?: unknown };

async function post(url: string, key: string | undefined, body: string): Promise<Outcome> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    const { message, cause } = error as Error;
    const reason = cause instanceof Error && cause.message !== "" ? cause.message : message;
    return {
      message: `${url} cannot be reached: ${reason}. Check DEMO_EMBEDDINGS_URL.`,
      isTemporary: true,
      cause: error,
    };
  }
  if (!response.ok) {
    const hint = response.status === 401 || response.status === 403 ? " Check DEMO_EMBEDDINGS_KEY." : "";
    const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
    return {
      message: `${url} answered ${response.status} ${response.statusText}: ${text.trim().slice(0, 300)}.${hint}`,
      isTemporary: response.status === 429 || response.status >= 500,
      waitMs: Number.isNaN(retryAfter) ? undefined : retryAfter * 1000,
    };
  }
  try {
    return { answer: JSON.parse(text) };
  } catch (error) {
    return { message: `${url}: expected JSON, got ${text.slice(0, 200)}`, isTemporary: false, cause: error };
  }
}
