// The engine on samlet's server.

import { request, requestJson, sending } from "../http";
import type { Embedding, Engine, ImageRef, MaskAnswer, Prompts } from "./engine";
import { EngineError } from "./engine";

type Line = { done: number; total: number } | { masks: MaskAnswer[] } | { error: string };

export class ServerEngine implements Engine {
  readonly name = "server";

  async embed(image: ImageRef, signal?: AbortSignal): Promise<Embedding> {
    for (;;) {
      try {
        return await requestJson<Embedding>("api/embed", sending("POST", { project_image: image.id }, signal));
      } catch (error) {
        if (!(error instanceof EngineError) || error.status !== 429) throw error;
        await pause((error.retryAfterSeconds ?? 1) * 1000, signal);
      }
    }
  }

  async predict(
    embedding: string,
    prompts: Prompts,
    options: { multimask: boolean },
    signal?: AbortSignal,
  ): Promise<MaskAnswer[]> {
    return ask("api/predict", { embedding, ...prompts, ...options }, signal);
  }

  async segment(embedding: string, prompts: Prompts, signal?: AbortSignal): Promise<MaskAnswer[]> {
    return ask("api/segment", { embedding, ...prompts }, signal);
  }

  async everything(
    embedding: string,
    onProgress: (done: number, total: number) => void,
    signal?: AbortSignal,
    pointsPerSide?: number,
  ): Promise<MaskAnswer[]> {
    const body = { embedding, points_per_side: pointsPerSide };
    const response = await request("api/everything", sending("POST", body, signal));
    for await (const text of linesOf(response)) {
      const line = JSON.parse(text) as Line;
      if ("error" in line) throw new EngineError(line.error, 500);
      if ("masks" in line) return line.masks;
      onProgress(line.done, line.total);
    }
    throw new EngineError("The server broke off before it had found everything.");
  }
}

async function ask(path: string, body: unknown, signal?: AbortSignal): Promise<MaskAnswer[]> {
  return (await requestJson<{ masks: MaskAnswer[] }>(path, sending("POST", body, signal))).masks;
}

/** The lines of a streamed answer, as they come. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line.trim());
    if (done) break;
  }
  if (rest.trim()) yield rest;
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("Aborted", "AbortError"));
    });
  });
}
