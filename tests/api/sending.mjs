// Sends a body that does not end by itself, with node's fetch (undici), and prints the status that came back:
// node sending.mjs URL TIMES SIZE
const [url, times, size] = process.argv.slice(2);
const block = new Uint8Array(65536);

function body(total) {
  let left = total;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      const piece = block.subarray(0, Math.min(left, block.length));
      left -= piece.length;
      controller.enqueue(piece);
    },
  });
}

const seen = {};
for (let index = 0; index < Number(times); index += 1) {
  let outcome;
  try {
    const whole = index % 2 ? body(Number(size)) : new Uint8Array(Number(size));
    const response = await fetch(url, { method: "POST", body: whole, duplex: "half" });
    outcome = `${response.status} ${await response.text()}`;
  } catch (error) {
    outcome = `${error.message}: ${error.cause?.code ?? error.cause}`;
  }
  seen[outcome] = (seen[outcome] ?? 0) + 1;
}
console.log(JSON.stringify(seen));
