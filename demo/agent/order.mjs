/** Orders with Node's fetch, which speaks CONNECT to its proxy for plain HTTP too. */
const answer = await fetch('http://site.example/orders', { method: 'POST', body: JSON.stringify({ item: 7 }), headers: { 'content-type': 'application/json' } });
console.log(answer.status, (await answer.json()).order);
