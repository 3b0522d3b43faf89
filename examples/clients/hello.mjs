// node hello.mjs 127.0.0.1 6363
import { Client, ServerKey } from 'megaki-client';

const [host, port] = process.argv.slice(2);
const client = new Client({ host, port: Number(port), key: ServerKey.read('server.key.pub'), sessionFile: 'session' });
console.log(String(await client.send('hello')));
const page = await client.request('/');
process.stdout.write(`${page.status} ${await page.text()}`);
await client.close();
