// The client with a server at MEGAKI_SERVER, whose public key is the file MEGAKI_KEY.
//
// The server responds to a message with the same bytes, and to an HTTP request with its
// method, path and body; the field Session has the session's token.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import dns from 'node:dns';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, getDefaultAutoSelectFamily, setDefaultAutoSelectFamily } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client, ConnectionFailed, MegakiError, MessageTooLong, ServerKey } from '../src/index.js';

const [, host, port] = /^(.*):(\d+)$/.exec(process.env.MEGAKI_SERVER);
const key = ServerKey.read(process.env.MEGAKI_KEY);

/** Runs work with a client, and closes it. */
async function withClient(options, work) {
  const client = new Client({ host, port: Number(port), key, ...options });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

const token = async (client) => (await client.request('/')).headers.get('Session');

test('send', () =>
  withClient({}, async (c) => {
    assert.equal((await c.send('hello')).toString(), 'hello');
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    assert.deepEqual(await c.send(all), all);
    await c.close();
    assert.equal((await c.send('again')).toString(), 'again');
  }));

test('request', () =>
  withClient({ hostHeader: 'example.org' }, async (c) => {
    const r = await c.request('/page?a=b', { headers: { 'X-Field': 'value' } });
    assert.deepEqual([r.status, r.ok, await r.text()], [200, true, 'GET example.org/page?a=b ']);
    const form = await c.request('/form', { method: 'POST', body: new URLSearchParams({ a: '1' }) });
    assert.equal(await form.text(), 'POST example.org/form a=1');
    assert.equal(await (await c.request('/', { method: 'HEAD' })).text(), '');
    assert.equal((await c.request('/missing')).status, 404);
  }));

test('session file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'megaki-'));
  try {
    const sessionFile = join(folder, 'session');
    const tokens = new Set();
    for (let i = 0; i < 3; i++) {
      await withClient({ sessionFile }, async (c) => {
        tokens.add(await token(c));
        assert.deepEqual(readFileSync(sessionFile), c.session);
      });
      assert.equal(statSync(sessionFile).mode & 0o777, 0o600);
    }
    assert.equal(tokens.size, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('session', async () => {
  const [first, session] = await withClient({}, async (c) => [await token(c), c.session]);
  assert.equal(await withClient({ session }, token), first);
  assert.notEqual(await withClient({ session: Buffer.alloc(48) }, token), first); // unknown: a handshake follows
});

test('used key', () =>
  withClient({ maxMessagesPerKey: 2 }, async (c) => {
    const tokens = new Set();
    for (let i = 0; i < 7; i++) {
      tokens.add(await token(c));
    }
    assert.equal(tokens.size, 1);
  }));

test('messages at once take turns', () =>
  withClient({}, async (c) => {
    const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`);
    const responses = await Promise.all(texts.map((text) => c.send(text)));
    assert.deepEqual(responses.map(String), texts);
  }));

test('signal', () =>
  withClient({}, async (c) => {
    await assert.rejects(c.send('hello', { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
    const later = new AbortController();
    const sent = c.send('hello', { signal: later.signal });
    later.abort(new Error('enough'));
    await assert.rejects(sent, /enough/);
    assert.equal((await c.send('still there')).toString(), 'still there');
  }));

test('a signal aborts a message that waits for its turn', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const connected = once(silent, 'connection');
  const c = new Client({ host: '127.0.0.1', port: silent.address().port, key, session: Buffer.alloc(48, 1), handshakeTimeout: 5000 });
  let ended = false;
  const first = assert.rejects(c.send('first'), ConnectionFailed).finally(() => (ended = true));
  const [socket] = await connected;
  try {
    const later = new AbortController();
    const second = c.send('second', { signal: later.signal });
    later.abort(new Error('enough'));
    await assert.rejects(second, /enough/);
    await assert.rejects(c.send('third', { signal: later.signal }), /enough/);
    assert.equal(ended, false);
  } finally {
    socket.destroy();
    silent.close();
  }
  await first;
});

test('errors', async () => {
  await withClient({}, async (c) => {
    await assert.rejects(c.send(Buffer.alloc((1 << 20) + 1)), MessageTooLong);
    await assert.rejects(c.send(''), TypeError);
    assert.equal((await c.send('still there')).toString(), 'still there');
  });
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const other = new ServerKey(publicKey.export({ type: 'spki', format: 'pem' }));
  await withClient({ key: other }, (c) => assert.rejects(c.send('hello'), (e) => e instanceof MegakiError && !e.mayHaveArrived));
  await withClient({ host: '127.0.0.1', port: 1 }, (c) => assert.rejects(c.send('hello'), ConnectionFailed));
  assert.throws(() => new ServerKey('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'), TypeError);
});

test('next address', async () => {
  const { lookup } = dns;
  const before = getDefaultAutoSelectFamily();
  const addresses = [{ address: '127.0.0.2', family: 4 }, { address: host, family: 4 }];
  dns.lookup = (_, options, callback) => (options.all ? callback(null, addresses) : callback(null, '127.0.0.2', 4));
  setDefaultAutoSelectFamily(false); // as in Node.js 18
  try {
    await withClient({ host: 'name' }, async (c) => assert.equal((await c.send('hello')).toString(), 'hello'));
  } finally {
    dns.lookup = lookup;
    setDefaultAutoSelectFamily(before);
  }
});
