<?php

declare(strict_types=1);

use arca\Request;
use arca\Upload;
use Nyholm\Psr7\Factory\Psr17Factory;
use PHPUnit\Framework\TestCase;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamInterface;

use function arca\psr;

require_once 'Nyholm/Psr7/autoload.php';

final class PsrTest extends TestCase
{
    public function testRequest(): void
    {
        $factory = new Psr17Factory();
        $file = tempnam(sys_get_temp_dir(), 'arca');
        file_put_contents($file, 'content');
        $upload = new Upload('a.txt', 'a.txt', 'text/plain', $file, UPLOAD_ERR_OK, 7);
        $seen = null;
        $on = psr(function (ServerRequestInterface $r) use (&$seen, $factory) {
            $seen = $r;
            return $factory->createResponse(201)->withHeader('X-A', ['1', '2']);
        }, $factory);
        $request = new Request(
            method: 'POST',
            target: '/p?q=1',
            headers: ['Host' => ['example.org:81'], 'Content-Type' => ['Multipart/Form-Data; boundary=x'], 'X-B' => ['3', '4']],
            query: ['q' => '1'],
            cookies: ['c' => 'd'],
            form: ['f' => ['g']],
            files: ['u' => [$upload, new Upload('', error: UPLOAD_ERR_NO_FILE)]],
            server: ['REMOTE_ADDR' => '192.0.2.1'],
            host: 'example.org:81',
        );
        $response = $on($request);
        self::assertSame([201, ['X-A' => ['1', '2']]], [$response->getStatus(), array_diff_key($response->getHeaders(), ['Content-Length' => 0])]);
        self::assertSame('http://example.org:81/p?q=1', (string) $seen->getUri());
        self::assertSame(['3', '4'], $seen->getHeader('x-b'));
        self::assertSame(['example.org:81'], $seen->getHeader('Host'));
        self::assertSame([['q' => '1'], ['c' => 'd'], ['f' => ['g']]], [$seen->getQueryParams(), $seen->getCookieParams(), $seen->getParsedBody()]);
        self::assertSame('192.0.2.1', $seen->getServerParams()['REMOTE_ADDR']);
        self::assertSame('1.1', $seen->getProtocolVersion());
        self::assertSame($request, $seen->getAttribute(Request::class));
        [$first, $second] = $seen->getUploadedFiles()['u'];
        self::assertSame(['a.txt', 'text/plain', 7], [$first->getClientFilename(), $first->getClientMediaType(), $first->getSize()]);
        self::assertSame('content', (string) $first->getStream());
        self::assertSame(UPLOAD_ERR_NO_FILE, $second->getError());
        unlink($file);
    }

    public function testParsedBodyByMethod(): void
    {
        $factory = new Psr17Factory();
        $seen = null;
        $on = psr(function (ServerRequestInterface $r) use (&$seen, $factory) {
            $seen = $r;
            return $factory->createResponse();
        }, $factory);
        foreach (['POST' => true, 'PUT' => true, 'PATCH' => true, 'DELETE' => true, 'GET' => false, 'REPORT' => false] as $method => $parsed) {
            foreach (['application/x-www-form-urlencoded' => $parsed, 'multipart/form-data; boundary=b' => $parsed, 'application/json' => false] as $type => $is) {
                $on(new Request(method: $method, headers: ['Content-Type' => [$type]], form: $is ? ['a' => '1'] : []));
                self::assertSame($is ? ['a' => '1'] : null, $seen->getParsedBody(), "$method $type");
            }
        }
    }

    public function testBodies(): void
    {
        $factory = new Psr17Factory();
        $seen = null;
        $body = $factory->createStream('from the middle');
        $body->seek(5);
        $on = psr(function (ServerRequestInterface $r) use (&$seen, $factory, &$body) {
            $seen = $r;
            return $factory->createResponse()->withBody($body);
        }, $factory, $factory, $factory);
        $response = $on(new Request(method: 'PUT', target: '/', body: 'sent'));
        self::assertSame(['sent', null], [(string) $seen->getBody(), $seen->getParsedBody()]);
        self::assertSame('from the middle', $response->getBody());

        $body = $factory->createStream($long = str_repeat('0123456789', 20_000));
        $response = $on(new Request());
        self::assertSame($long, implode('', [...$response->getBody()]));
        self::assertSame('200000', $response->getHeader('Content-Length'));

        $body = $this->createStub(StreamInterface::class); // nobody knows its length
        $body->method('eof')->willReturnOnConsecutiveCalls(false, false, true);
        $body->method('read')->willReturnOnConsecutiveCalls('one', 'two');
        $response = $on(new Request());
        self::assertSame(['one', 'two'], [...$response->getBody()]);
        self::assertNull($response->getHeader('Content-Length'));
    }

    public function testFactories(): void
    {
        $this->expectException(InvalidArgumentException::class);
        psr(fn () => null, $this->createStub(Psr\Http\Message\ServerRequestFactoryInterface::class));
    }
}
