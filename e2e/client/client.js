// A relying party's backend in miniature: the official Baidu SDK, unchanged, with its
// host rewritten. Reads one JSON request a line from standard input, {path, body},
// and writes the reply as one JSON line.
//
//   node client.js BASE_URL API_KEY SECRET_KEY [bce]
//
// With "bce" every request is signed (BCE v1) instead of carrying an access token.
'use strict';

const readline = require('readline');
const {face: AipFace, ocr: AipOcr, HttpClient} = require('baidu-aip-sdk');

const [base, ak, sk, mode] = process.argv.slice(2);
HttpClient.setRequestInterceptor((options) => {
  options.url = options.url.replace(/^https?:\/\/[^/]+/, base);
  return options;
});

const client = new AipFace('', ak, sk);
const reader = new AipOcr('', ak, sk);
if (mode === 'bce') {
  // What the SDK decides for itself when the token endpoint does not know the key.
  for (const c of [client, reader]) {
    c.pms = c.pms.then(() => c.gotDevAuthFail({errorType: 'ERRTYPE_NORMAL'}));
  }
}

async function main() {
  for await (const line of readline.createInterface({input: process.stdin})) {
    let reply;
    try {
      const {path, body} = JSON.parse(line);
      if (path.endsWith('/ocr/v1/idcard')) {
        const {image, id_card_side: side, ...options} = body;
        reply = await reader.idcard(image, side, options);
      } else {
        reply = await client.jsonRequestImpl({...body, targetPath: path});
      }
    } catch (err) {
      reply = {client_error: String(err.error || err.message || err)};
    }
    process.stdout.write(JSON.stringify(reply) + '\n');
  }
}

main();
