// A developer's backend, written from the vendor's signing guide on npm sm-crypto: what a
// client on another SM2 library sends and accepts. One JSON object a line on standard
// input, one answer a line on standard output.
'use strict'

const crypto = require('crypto')
const readline = require('readline')
const { sm2 } = require('sm-crypto')

/** Guide: drop sign, sort keys, k=v joined with &, null left out, lists joined with a comma. */
function signString(o, without = []) {
  const write = (v) => (Array.isArray(v) ? v.map(write).join(',') : typeof v === 'object' ? signString(v) : String(v))
  return Object.keys(o)
    .filter((k) => k !== 'sign' && !without.includes(k) && o[k] !== null && o[k] !== undefined)
    .sort()
    .map((k) => k + '=' + write(o[k]))
    .join('&')
}

const sign = (text, key) =>
  Buffer.from(sm2.doSignature(text, key, { hash: true, der: true }), 'hex').toString('base64')
const verify = (text, sig, key) =>
  sm2.doVerifySignature(text, Buffer.from(sig, 'base64').toString('hex'), key, { hash: true, der: true })

const C1C3C2 = 1
const encrypt = (text, key) => '04' + sm2.doEncrypt(text, key, C1C3C2)
const decrypt = (hex, key) => sm2.doDecrypt(hex.replace(/^04/, ''), key, C1C3C2)

async function token(q) {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: q.clientId,
    client_secret: q.clientSecret,
  })
  const r = await fetch(q.base + '/oauth2/v3/token?' + form, { method: 'POST' })
  return (await r.json()).access_token
}

/** Calls an interface: q.encrypt names the fields that are encrypted first. */
async function call(q) {
  const body = { ...q.body }
  for (const name of q.encrypt ?? []) body[name] = encrypt(body[name], q.platformEncKey)
  const auth = {
    clientId: q.clientId,
    accessToken: await token(q),
    traceId: crypto.randomBytes(16).toString('hex'),
    time: Date.now() + (q.offset ?? 0),
    developerSignKeyId: q.signKeyId,
    petalpaySignKeyId: q.platformSignKeyId,
    petalpayEncKeyId: q.platformEncKeyId,
    developerEncKeyId: q.encKeyId,
    bodySign: sign(signString(body), q.signKey),
  }
  auth.headerSign = sign(signString(auth, ['headerSign']), q.signKey)
  const r = await fetch(q.base + q.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json;charset=UTF-8', payDevAuth: JSON.stringify(auth) },
    body: JSON.stringify(body),
  })
  const answer = await r.json()
  const verified = verify(signString(answer), answer.sign, q.platformSignKey)
  for (const name of q.decrypt ?? []) if (answer[name]) answer[name] = decrypt(answer[name], q.encKey)
  return { verified, answer }
}

const ops = {
  signString: (q) => signString(JSON.parse(q.text)),
  sign: (q) => sign(q.text, q.key),
  verify: (q) => verify(q.text, q.sig, q.key),
  encrypt: (q) => encrypt(q.text, q.key),
  decrypt: (q) => decrypt(q.text, q.key),
  call,
}

;(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const q = JSON.parse(line)
    let out
    try {
      out = { result: await ops[q.op](q) }
    } catch (e) {
      out = { error: String(e) }
    }
    process.stdout.write(JSON.stringify(out) + '\n')
  }
})()
