// Requests to samlet's own server: relative addresses, so that any prefix works, and one kind of error.

import { EngineError } from "./engine/engine";

const HEADERS = { "X-Samlet": "1" };

/** The response of a request that went well; EngineError with the server's sentence otherwise. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...HEADERS, ...(init.headers ?? {}) } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new EngineError("The server does not answer. Your work is kept here until it does.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export async function requestJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await request(path, init)).json() as Promise<T>;
}

/** A request whose body is JSON. */
export function sending(method: string, body: unknown, signal?: AbortSignal): RequestInit {
  return { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal };
}

async function failure(response: Response): Promise<EngineError> {
  let message = `The server answered ${response.status} ${response.statusText}.`;
  try {
    const body: unknown = await response.json();
    if (body !== null && typeof body === "object" && "error" in body) message = String(body.error);
  } catch {
    // no JSON: the status says enough
  }
  const retry = Number(response.headers.get("Retry-After"));
  return new EngineError(message, response.status, retry > 0 ? retry : undefined);
}
