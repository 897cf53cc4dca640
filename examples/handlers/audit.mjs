// Looks at shell commands. Run by hookpool with `mode = "resident"` or `mode = "lines"`.

import { run } from './hookpool-lines.mjs';

run((event) => {
  const command = event.tool_input.command;
  console.log('looking at', command);
  if (command.includes('rm -r')) {
    return { decision: 'ask', why: 'it removes a folder' };
  }
});
