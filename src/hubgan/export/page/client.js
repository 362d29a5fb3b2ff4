// The page's side of worker.js.

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const calls = new Map();
let number = 0;

export const state = new EventTarget(); // "computes": where, in detail

worker.onmessage = ({ data: { id, progress, result, error, computes } }) => {
  const { resolve, reject, tell } = calls.get(id);
  if (computes) state.dispatchEvent(new CustomEvent("computes", { detail: computes }));
  if (progress) return tell?.(progress);
  calls.delete(id);
  if (error) reject(new Error(error));
  else resolve(result);
};
worker.onerror = (event) => {
  for (const { reject } of calls.values()) reject(new Error(`The worker has stopped: ${event.message}`));
  calls.clear();
};

// Call a function of the worker. `tell` hears of progress; `signal` stops the work, whose result is null then.
export function ask(call, given = {}, { tell, signal } = {}) {
  const id = number++;
  signal?.addEventListener("abort", () => worker.postMessage({ id, call: "stop" }));
  return new Promise((resolve, reject) => {
    calls.set(id, { resolve, reject, tell });
    worker.postMessage({ id, call, ...given });
  });
}
