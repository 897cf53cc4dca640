// Makes a handler for `mode = "lines"` or `mode = "resident"` of a function that takes one event.
//
//     import { run } from './hookpool-lines.mjs';
//
//     run((event) => { … });
//
// What the function returns, or its promise gives, is the verdict; nothing is none. If it throws, the event has failed.
// What it logs goes to standard error, since standard output is for answers.

export async function run(handle) {
  console.log = console.info = console.debug = console.error;
  process.stdin.setEncoding('utf8');
  let rest = '';
  for await (const piece of process.stdin) {
    // Not `readline`: to it a line also ends at U+2028, which may stand in an event's text.
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const { hookpool, ...event } = JSON.parse(line);
      let answer;
      try {
        answer = JSON.stringify({ id: hookpool.id, ok: true, verdict: await handle(event) });
      } catch (error) {
        console.error(error);
        answer = JSON.stringify({ id: hookpool.id, ok: false, message: String(error) });
      }
      process.stdout.write(answer + '\n');
    }
  }
}
