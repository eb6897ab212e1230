import type { IncomingMessage, ServerResponse } from 'node:http';

/** The website of the demo: a catalogue, items, orders, pages. */
export function shop(request: IncomingMessage, response: ServerResponse): void {
  const { method, url = '/' } = request;
  const answer = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
  };
  request.resume();
  if (method === 'GET' && url === '/catalogue') answer(200, { items: [7, 8, 9] });
  else if (method === 'GET' && url.startsWith('/item/')) answer(200, { name: 'a lantern', price: 12 });
  else if (method === 'POST' && url === '/orders') answer(201, { order: 1001 });
  else answer(200, { page: url });
}
