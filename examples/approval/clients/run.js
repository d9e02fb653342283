// Runs one of the programs beside this file as it is printed, but against the
// node, with the key and for the execution that the environment names:
//
//   SIGNALBOX_URL=http://127.0.0.1:8080 SIGNALBOX_KEY=... EXEC_ID=exec_123 node run.js approval-integration.js
//   SIGNALBOX_URL=... PORT=3000 node run.js payment-webhook.js
//
// The programs are pages of a document: one awaits at the top level, the other
// uses the axios that the page before it required and leaves listening to the
// reader. So each is loaded as the body of an async function.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const axios = require('axios');

const program = process.argv[2];
if (!program) {
  console.error('usage: node run.js approval-integration.js|payment-webhook.js');
  process.exit(2);
}

const url = process.env.SIGNALBOX_URL || 'http://localhost:8080';
const key = process.env.SIGNALBOX_KEY || 'no-key';
const execID = process.env.EXEC_ID || 'exec_123';

const source = fs
  .readFileSync(path.join(__dirname, program), 'utf8')
  .replaceAll('http://localhost:8080', url)
  .replaceAll('your-api-key', key)
  .replaceAll('YOUR_API_KEY', key)
  .replaceAll('exec_123', execID);

const AsyncFunction = (async () => {}).constructor;

async function main() {
  if (source.includes("require('express')")) {
    const app = await new AsyncFunction('require', 'axios', `${source}\nreturn app;`)(require, axios);
    const server = app.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
      console.log(`listening on http://127.0.0.1:${server.address().port}`);
    });
    return;
  }
  await new AsyncFunction('require', source)(require);
  console.log('done');
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
