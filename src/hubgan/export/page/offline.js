// The service worker. It keeps the page for visits without a network; worker.js keeps the models and the runtime in the
// same cache. It also adds the headers without which browsers give a page one thread only, where the server sends none.

const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const scope = self.registration.scope;
const name = `hubgan ${scope} ${PAGE.version}`;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  const requests = PAGE.files.map((file) => new Request(new URL(file, scope), { cache: "reload" }));
  event.waitUntil(caches.open(name).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  const remove = async () => {
    for (const each of await caches.keys()) if (each.startsWith(`hubgan ${scope} `) && each !== name) await caches.delete(each);
    await self.clients.claim();
  };
  event.waitUntil(remove());
});

self.addEventListener("fetch", (event) => {
  const { url, method } = event.request;
  if (method === "GET" && url.startsWith(scope)) event.respondWith(answer(event.request));
});

async function answer(request) {
  const address = new URL(request.url);
  address.search = address.hash = "";
  if (address.href === scope) address.pathname += "index.html";
  const cache = await caches.open(name);
  const response = (await cache.match(address)) ?? (await fetch(request));
  if (response.type === "opaqueredirect" || response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [header, value] of Object.entries(ISOLATION)) headers.set(header, value);
  const body = [204, 304].includes(response.status) ? null : response.body;
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}
