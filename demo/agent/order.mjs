/** Orders with Node's fetch, in TLS. */
const answer = await fetch('https://site.example/orders', { method: 'POST', body: JSON.stringify({ item: 7 }), headers: { 'content-type': 'application/json' } });
console.log(answer.status, (await answer.json()).order);
