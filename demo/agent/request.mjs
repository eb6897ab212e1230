/** In place of curl, where there is none. */
const [, , method, url] = process.argv;
try {
  const answer = await fetch(url, { method });
  console.log(answer.status);
} catch (error) {
  console.log(error.cause?.message ?? error.message);
}
