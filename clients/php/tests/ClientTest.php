<?php

declare(strict_types=1);

namespace Megaki\Tests;

use Megaki\Client;
use Megaki\Exception\ConnectionFailed;
use Megaki\Exception\MegakiException;
use Megaki\Exception\MessageTooLong;
use Megaki\Psr18Client;
use Megaki\ServerKey;
use Nyholm\Psr7\Factory\Psr17Factory;
use PHPUnit\Framework\TestCase;
use Psr\Http\Client\NetworkExceptionInterface;
use Psr\Http\Client\RequestExceptionInterface;

require_once __DIR__ . '/autoload.php';
require_once '/usr/share/php/Psr/Http/Client/autoload.php'; // php-psr-http-client
require_once '/usr/share/php/Nyholm/Psr7/autoload.php'; // php-nyholm-psr7

/**
 * The client with a server at MEGAKI_SERVER, whose public key is the file MEGAKI_KEY.
 *
 * The server responds to a message with the same bytes, and to an HTTP request with its
 * method, path and body; the field Session has the session's token.
 */
final class ClientTest extends TestCase
{
    private function client(mixed ...$options): Client
    {
        [$host, $port] = explode(':', getenv('MEGAKI_SERVER'));
        return new Client(...$options + ['host' => $host, 'port' => (int) $port, 'key' => ServerKey::read(getenv('MEGAKI_KEY'))]);
    }

    private function token(Client $client): string
    {
        return $client->request('GET', '/')->getHeaderLine('Session');
    }

    public function testSend(): void
    {
        $c = $this->client();
        $this->assertSame('hello', $c->send('hello'));
        $all = implode('', array_map('chr', range(0, 255)));
        $this->assertSame($all, $c->send($all));
        $c->close();
        $this->assertSame('again', $c->send('again'));
    }

    public function testRequest(): void
    {
        $c = $this->client(hostHeader: 'example.org');
        $r = $c->request('GET', '/page?a=b', ['X-Field' => 'value']);
        $this->assertSame([200, 'GET example.org/page?a=b '], [$r->getStatusCode(), $r->getBody()]);
        $form = $c->request('POST', '/form', ['Content-Type' => 'application/x-www-form-urlencoded'], http_build_query(['a' => '1']));
        $this->assertSame('POST example.org/form a=1', $form->getBody());
        $this->assertSame('', $c->request('HEAD', '/')->getBody());
        $this->assertSame(404, $c->request('GET', '/missing')->getStatusCode());
    }

    public function testSessionFile(): void
    {
        $file = tempnam(sys_get_temp_dir(), 'megaki-');
        try {
            $tokens = [];
            for ($i = 0; $i < 3; $i++) {
                $c = $this->client(sessionFile: $file);
                $tokens[] = $this->token($c);
                $this->assertSame($c->session(), file_get_contents($file));
                clearstatcache();
                $this->assertSame(0600, fileperms($file) & 0777);
            }
            $this->assertCount(1, array_unique($tokens));
        } finally {
            unlink($file);
        }
    }

    /** The session is a secret: no copy of it stays where its file can't be written. */
    public function testSessionFileThatCannotBeWritten(): void
    {
        $psr17 = new Psr17Factory();
        $c = $this->client(sessionFile: '/nonexistent/session');
        foreach ([fn () => $c->send('hello'), fn () => (new Psr18Client($c, $psr17, $psr17))->sendRequest($psr17->createRequest('GET', 'https://h/'))] as $send) {
            try {
                $send();
                $this->fail();
            } catch (NetworkExceptionInterface | \RuntimeException $e) {
                $this->assertStringContainsString("/nonexistent/session can't be written", $e->getMessage());
            }
        }
        $this->assertInstanceOf(NetworkExceptionInterface::class, $e);
        $others = array_map(static fn (string $file) => @file_get_contents($file), glob(sys_get_temp_dir() . '/.megaki-*'));
        $this->assertNotContains($c->session(), $others);
    }

    public function testSession(): void
    {
        $c = $this->client();
        $token = $this->token($c);
        $this->assertSame($token, $this->token($this->client(session: $c->session())));
        // An unknown one: a handshake follows.
        $this->assertNotSame($token, $this->token($this->client(session: str_repeat("\0", 48))));
    }

    public function testUsedKey(): void
    {
        $c = $this->client(maxMessagesPerKey: 2);
        $tokens = array_map(fn () => $this->token($c), range(1, 7));
        $this->assertCount(1, array_unique($tokens));
    }

    public function testErrors(): void
    {
        $c = $this->client();
        try {
            $c->send(str_repeat('x', (1 << 20) + 1));
            $this->fail();
        } catch (MessageTooLong $e) {
            $this->assertFalse($e->mayHaveArrived());
        }
        $this->assertSame('still there', $c->send('still there'));
        $key = openssl_pkey_new(['private_key_bits' => 2048]);
        try {
            $this->client(key: new ServerKey(openssl_pkey_get_details($key)['key']))->send('hello');
            $this->fail();
        } catch (MegakiException $e) {
            $this->assertFalse($e->mayHaveArrived());
        }
        $this->expectException(ConnectionFailed::class);
        $this->client(host: '127.0.0.1', port: 1)->send('hello');
    }

    public function testPsr18(): void
    {
        $psr17 = new Psr17Factory();
        $client = new Psr18Client($this->client(), $psr17, $psr17);
        $request = $psr17->createRequest('POST', 'https://example.org/form?a=b')->withBody($psr17->createStream('text'));
        $response = $client->sendRequest($request);
        $this->assertSame([200, 'POST example.org/form?a=b text'], [$response->getStatusCode(), (string) $response->getBody()]);
        foreach ([$request->withMethod('CONNECT'), $request->withBody($psr17->createStream(str_repeat('x', 1 << 20)))] as $wrong) {
            try {
                $client->sendRequest($wrong);
                $this->fail();
            } catch (RequestExceptionInterface $e) {
                $this->assertSame($wrong, $e->getRequest());
            }
        }
        $this->expectException(NetworkExceptionInterface::class);
        (new Psr18Client($this->client(port: 1), $psr17, $psr17))->sendRequest($request);
    }
}
