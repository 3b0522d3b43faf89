// HTTP requests and responses, each in one message.

import { ProtocolError } from './errors.js';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const HOST = /^[!-~]+$/;
const STATUS = /^HTTP\/1\.[01] ([2-5][0-9][0-9])(?: (.*))?$/;
const OWN = ['host', 'content-length', 'transfer-encoding'];
const MAX_FIELDS = 256;

/** Returns a request as a message, of the arguments that fetch takes. */
export async function writeRequest(path, init, host) {
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw new TypeError('the path must begin with a slash');
  }
  if (!HOST.test(host) || /[,/@?#\\]/.test(host)) {
    throw new TypeError('the host is malformed');
  }
  const { signal: _, ...rest } = init;
  const request = new Request(`http://localhost${path}`, rest);
  const { pathname, search } = new URL(request.url);
  const body = request.body ? Buffer.from(await request.arrayBuffer()) : null;
  const lines = [`${request.method} ${pathname}${search} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of request.headers) {
    if (OWN.includes(name)) {
      throw new TypeError(`${name} is written by the client`);
    }
    lines.push(`${name}: ${value}`);
  }
  if (body || ['POST', 'PUT', 'PATCH'].includes(request.method)) {
    lines.push(`Content-Length: ${body ? body.length : 0}`);
  }
  return { method: request.method, message: Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body ?? Buffer.alloc(0)]) };
}

/**
 * Reads a whole response. The length of a message isn't authenticated, so the response's
 * own framing must agree with it.
 */
export function readResponse(message, method) {
  const end = message.indexOf('\r\n\r\n');
  if (end < 0) {
    throw wrong("its head doesn't end");
  }
  const [first, ...fields] = message.toString('latin1', 0, end).split('\r\n');
  if (![first, ...fields].every((line) => VALUE.test(line))) {
    throw wrong("its head has a character that isn't allowed");
  }
  const status = STATUS.exec(first);
  if (!status) {
    throw wrong("its first line is malformed, or its status isn't from 200 to 599");
  }
  if (fields.length > MAX_FIELDS) {
    throw wrong(`it has more than ${MAX_FIELDS} header fields`);
  }
  const headers = new Headers();
  let lengths = [];
  for (const field of fields) {
    const colon = field.indexOf(':');
    const [name, value] = [field.slice(0, Math.max(colon, 0)), trimmed(field.slice(colon + 1))];
    if (!TOKEN.test(name)) {
      throw wrong('a header field is malformed');
    }
    headers.append(name, value);
    if (name.toLowerCase() === 'content-length') {
      lengths = [...lengths, value];
    }
  }
  if (lengths.length > 1 || headers.has('transfer-encoding')) {
    throw wrong("it has two Content-Length fields, or a Transfer-Encoding, which a message can't have");
  }
  const [code, body] = [Number(status[1]), message.subarray(end + 4)];
  const empty = [204, 205, 304].includes(code);
  let expected = 0;
  if (method !== 'HEAD' && !empty && lengths.length > 0) {
    expected = /^[0-9]{1,10}$/.test(lengths[0]) ? Number(lengths[0]) : -1;
  }
  if (body.length !== expected) {
    throw wrong("its body doesn't have the length of its Content-Length");
  }
  return new Response(empty ? null : body, { status: code, statusText: status[2] ?? '', headers });
}

/** Cuts spaces and tabs off both ends. trim() would take a no-break space, too. */
function trimmed(value) {
  let [begin, end] = [0, value.length];
  while (begin < end && ' \t'.includes(value[begin])) {
    begin++;
  }
  while (begin < end && ' \t'.includes(value[end - 1])) {
    end--;
  }
  return value.slice(begin, end);
}

function wrong(what) {
  return Object.assign(new ProtocolError(`the response isn't a right HTTP response: ${what}`), { mayHaveArrived: true });
}
