// HTTP requests as they are written, responses as they are read.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readResponse, writeRequest } from '../src/http.js';
import { ProtocolError } from '../src/index.js';

const written = async (path, init = {}, host = 'h:1') => (await writeRequest(path, init, host)).message.toString('latin1');
const read = (text, method = 'GET') => readResponse(Buffer.from(text, 'latin1'), method);

test('requests are written', async () => {
  assert.equal(await written('/a?b=c'), 'GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n\r\n');
  assert.equal(
    await written('/', { method: 'POST', headers: { A: 'b' }, body: new URLSearchParams({ x: '1 2' }) }),
    'POST / HTTP/1.1\r\nHost: h:1\r\na: b\r\ncontent-type: application/x-www-form-urlencoded;charset=UTF-8\r\nContent-Length: 5\r\n\r\nx=1+2',
  );
  assert.equal(await written('/', { method: 'PUT' }), 'PUT / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n');
  assert.equal(await written('//a b/ä#c'), 'GET //a%20b/%C3%A4 HTTP/1.1\r\nHost: h:1\r\n\r\n');
  const form = new FormData();
  form.append('field', 'value');
  assert.match(await written('/', { method: 'POST', body: form }), /name="field"\r\n\r\nvalue\r\n/);
});

test('no request can be smuggled', async () => {
  for (const path of ['', 'a', 'http://h/', '@evil/', '\r\n/']) {
    await assert.rejects(written(path), TypeError, path);
  }
  assert.doesNotMatch(await written('/a\r\nX: y'), /\nX/);
  for (const method of ['GET /', 'G\r\nET', 'CONNECT', 'GäT']) {
    await assert.rejects(written('/', { method }), TypeError, method);
  }
  for (const host of ['', 'a b', 'a\r\nX: y', 'a/b', 'u@h', 'a,b']) {
    await assert.rejects(written('/', {}, host), TypeError, host);
  }
  for (const field of [['host', 'h'], ['content-length', '1'], ['Transfer-Encoding', 'chunked'], ['A b', 'c'], ['', 'c'], ['A', 'b\r\nC: d'], ['A', '€']]) {
    await assert.rejects(written('/', { headers: [field] }), TypeError, field.join());
  }
});

test('responses are read', async () => {
  const r = read('HTTP/1.1 200 OK\r\nX-A: \t1 \r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello');
  assert.deepEqual([r.status, r.statusText, r.ok, r.headers.get('X-A'), await r.text()], [200, 'OK', true, '1, 2', 'hello']);
  assert.equal(read('HTTP/1.0 204\r\n\r\n').status, 204);
  assert.equal(read('HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n').status, 304);
  assert.equal(await read('HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n', 'HEAD').text(), '');
});

test('the responses of vectors/http.json are read or refused', async () => {
  const folder = process.env.MEGAKI_VECTORS ?? fileURLToPath(new URL('../../../vectors', import.meta.url));
  const { tests } = JSON.parse(readFileSync(`${folder}/http.json`, 'utf8'));
  assert.ok(tests.length > 40);
  for (const v of tests) {
    const message = Buffer.from(v.message, 'hex').toString('latin1');
    if (v.expect !== 'ok') {
      assert.throws(() => read(message, v.method), ProtocolError, v.name);
      continue;
    }
    const r = read(message, v.method);
    assert.deepEqual([r.status, await r.text()], [v.status, Buffer.from(v.body ?? '', 'hex').toString()], v.name);
  }
});

test('wrong responses are refused', () => {
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody';
  read(good);
  const wrong = [
    '', 'hello', 'HTTP/2 200 OK\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 2000 OK\r\n\r\n', 'HTTP/1.1 200 OK\n\n',
    'HTTP/1.1 200 OK\r\nA\r\n\r\n', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n', 'HTTP/1.1 200 OK\r\n A: b\r\n\r\n', 'HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n',
    'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\nbody', `${good}x`, 'HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nbody',
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody', 'HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(257)}\r\n`,
  ];
  for (const text of [...wrong, ...[...good].map((_, n) => good.slice(0, n))]) {
    assert.throws(() => read(text), ProtocolError, text);
  }
});
