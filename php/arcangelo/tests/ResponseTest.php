<?php

declare(strict_types=1);

use arca\Response;
use PHPUnit\Framework\TestCase;

final class ResponseTest extends TestCase
{
    public function testShorthands(): void
    {
        $json = Response::json(['a' => '/ü'], 201);
        self::assertSame([201, '{"a":"/ü"}', 'application/json'], [$json->getStatus(), $json->getBody(), $json->getHeader('content-type')]);
        self::assertSame('text/html; charset=UTF-8', Response::html('<p>')->getHeader('Content-Type'));
        self::assertSame('text/plain; charset=UTF-8', Response::text('t')->getHeader('Content-Type'));
        self::assertSame(['Location' => ['/x']], Response::redirect('/x')->getHeaders());
        self::assertSame(302, Response::redirect('/x')->getStatus());
        self::assertSame(['a', 'b'], [...Response::stream(['a', 'b'])->getBody()]);
        self::assertIsResource(Response::file(__FILE__)->getBody());
    }

    public function testHeaders(): void
    {
        $r = new Response('', 200, ['X-A' => 'one', 'X-N' => 7, 'X-L' => ['a', 'b']]);
        $r->header('x-a', 'two')->addHeader('X-A', ' three ');
        self::assertSame(['X-N' => ['7'], 'X-L' => ['a', 'b'], 'x-a' => ['two', 'three']], $r->getHeaders());
        self::assertSame('two, three', $r->getHeader('X-a'));
        self::assertNull($r->getHeader('X-B'));
        self::assertSame('v', (new Response('', 200, ['123' => 'v']))->getHeader('123'));
    }

    /** @dataProvider splitting */
    public function testNoSplitting(string $name, string $value): void
    {
        $this->expectException(InvalidArgumentException::class);
        (new Response())->header($name, $value);
    }

    /** @return array<array{string, string}> */
    public static function splitting(): array
    {
        return [
            ['X', "a\r\nSet-Cookie: x=y"], ['X', "a\nb"], ['X', "a\0b"], ['X', "a\x7f"],
            ["X\r\nY", 'a'], ['X Y', 'a'], ['X:', 'a'], ['', 'a'], ["X\0", 'a'], ['Ü', 'a'], ["X\n", 'a'],
        ];
    }

    /** @dataProvider statuses */
    public function testStatus(int $status, bool $right): void
    {
        if (!$right) {
            $this->expectException(InvalidArgumentException::class);
        }
        self::assertSame($status, (new Response('', $status))->getStatus());
    }

    /** @return array<array{int, bool}> */
    public static function statuses(): array
    {
        return [[200, true], [599, true], [199, false], [100, false], [101, false], [600, false], [0, false], [-1, false]];
    }

    public function testCookies(): void
    {
        $r = (new Response())->cookie('a', "x; y\r\n")->cookie('b', '', expires: 1, path: '', httpOnly: false, sameSite: '')
            ->cookie('c', '1', domain: 'example.org', secure: true, sameSite: 'None');
        self::assertSame([
            'a=x%3B%20y%0D%0A; Path=/; HttpOnly; SameSite=Lax',
            'b=; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0',
            'c=1; Path=/; Domain=example.org; Secure; HttpOnly; SameSite=None',
        ], $r->getHeaders()['Set-Cookie']);
        $nested = (new Response())->cookie('a[b]', '1', path: '', httpOnly: false, sameSite: '')->getHeader('Set-Cookie');
        self::assertSame('a[b]=1', $nested);
        self::assertSame(['a' => ['b' => '1']], arca\Cookies::parse((string) $nested));
        foreach ([['a;b'], ["a\n"], ['a=b'], ['']] as [$name]) {
            try {
                $r->cookie($name, 'x');
                self::fail("a cookie '$name'");
            } catch (InvalidArgumentException) {
            }
        }
        $this->expectException(InvalidArgumentException::class);
        $r->cookie('a', 'x', path: '/; HttpOnly');
    }

    public function testBodies(): void
    {
        self::assertSame('42', (new Response(42))->getBody());
        $this->expectException(TypeError::class);
        new Response(new stdClass());
    }
}
