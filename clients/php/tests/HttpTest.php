<?php

declare(strict_types=1);

namespace Megaki\Tests;

use Megaki\Exception\ProtocolError;
use Megaki\Request;
use Megaki\Response;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/autoload.php';

/** HTTP requests as they are written, responses as they are read. */
final class HttpTest extends TestCase
{
    public function testRequestsAreWritten(): void
    {
        $this->assertSame("GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n\r\n", Request::write('GET', '/a?b=c', 'h:1', [], ''));
        $this->assertSame(
            "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\nA: c\r\nContent-Length: 3\r\n\r\nxyz",
            Request::write('POST', '/', 'h', ['A' => ['b', 'c']], 'xyz'),
        );
        $this->assertSame("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", Request::write('PUT', '/', 'h', [], ''));
    }

    public function smuggled(): iterable
    {
        foreach (['', 'a', 'http://h/', '/a b', "/a\r\nX: y", "/\x7F", '/ä', '/a#b', "/a\n"] as $path) {
            yield ['GET', $path, 'h', []];
        }
        foreach (['', 'GET /', "G\r\nET", 'CONNECT', 'GäT', "GET\n"] as $method) {
            yield [$method, '/', 'h', []];
        }
        foreach (['', 'a b', "a\r\nX: y", 'a/b', 'u@h', 'a,b', "h\n"] as $host) {
            yield ['GET', '/', $host, []];
        }
        $fields = [['host', 'h'], ['content-length', '1'], ['Transfer-Encoding', 'chunked'], ['A b', 'c'], ['', 'c'], ['A', "b\r\nC: d"], ['A', "b\n"]];
        foreach ($fields as [$name, $value]) {
            yield ['GET', '/', 'h', [$name => $value]];
        }
    }

    /** @dataProvider smuggled */
    public function testNoRequestCanBeSmuggled(string $method, string $path, string $host, array $headers): void
    {
        $this->expectException(\InvalidArgumentException::class);
        Request::write($method, $path, $host, $headers, '');
    }

    public function testResponsesAreRead(): void
    {
        $r = Response::parse("HTTP/1.1 200 OK\r\nX-A: \t1 \r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello", 'GET');
        $this->assertSame([200, 'OK', ['1', '2'], '1, 2', [], 'hello'], [
            $r->getStatusCode(), $r->getReasonPhrase(), $r->getHeader('X-A'), $r->getHeaderLine('x-A'), $r->getHeader('X'), $r->getBody(),
        ]);
        $this->assertSame(204, Response::parse("HTTP/1.0 204\r\n\r\n", 'GET')->getStatusCode());
        $this->assertSame(304, Response::parse("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", 'GET')->getStatusCode());
        $this->assertSame('', Response::parse("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", 'HEAD')->getBody());
    }

    /** The responses that all clients read or refuse alike. */
    public function vectors(): iterable
    {
        $folder = getenv('MEGAKI_VECTORS') ?: __DIR__ . '/../../../vectors';
        $tests = json_decode(file_get_contents("$folder/http.json"), true, 16, JSON_THROW_ON_ERROR)['tests'];
        foreach ($tests as $test) {
            yield $test['name'] => [$test];
        }
    }

    /** @dataProvider vectors */
    public function testVectors(array $test): void
    {
        if ($test['expect'] !== 'ok') {
            $this->expectException(ProtocolError::class);
        }
        $r = Response::parse(hex2bin($test['message']), $test['method']);
        $this->assertSame([$test['status'], hex2bin($test['body'] ?? '')], [$r->getStatusCode(), $r->getBody()]);
    }

    public function wrong(): iterable
    {
        $good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        yield from array_map(static fn (string $text): array => [$text], [
            'hello', "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\r\nA\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nbody", "{$good}x", "HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" . str_repeat("A: b\r\n", 257) . "\r\n",
        ]);
        for ($n = 0; $n < strlen($good); $n++) {
            yield [substr($good, 0, $n)];
        }
    }

    /** @dataProvider wrong */
    public function testWrongResponsesAreRefused(string $text): void
    {
        $this->expectException(ProtocolError::class);
        Response::parse($text, 'GET');
    }
}
