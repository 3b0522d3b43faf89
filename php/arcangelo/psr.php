<?php

declare(strict_types=1);

namespace arca;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestFactoryInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamFactoryInterface;
use Psr\Http\Message\UploadedFileFactoryInterface;
use Psr\Http\Server\RequestHandlerInterface;

/**
 * Makes an on_http from a PSR-15 handler, or from any callable that takes a PSR-7
 * request and returns a PSR-7 response. The application brings the PSR-17
 * factories; if one object is all three of them, pass it once.
 *
 *     'on_http' => arca\psr($app, new Nyholm\Psr7\Factory\Psr17Factory()),
 *
 * The request's attribute arca\Request::class has the arca\Request.
 *
 * @return \Closure(Request): Response
 */
function psr(
    RequestHandlerInterface|callable $handler,
    ServerRequestFactoryInterface $requests,
    ?StreamFactoryInterface $streams = null,
    ?UploadedFileFactoryInterface $uploads = null,
): \Closure {
    $streams ??= $requests instanceof StreamFactoryInterface ? $requests
        : throw new \InvalidArgumentException('arca\psr needs a StreamFactoryInterface');
    $uploads ??= $requests instanceof UploadedFileFactoryInterface ? $requests
        : throw new \InvalidArgumentException('arca\psr needs an UploadedFileFactoryInterface');
    $handle = $handler instanceof RequestHandlerInterface ? $handler->handle(...) : $handler;
    return static fn (Request $request): Response => fromPsr($handle(toPsr($request, $requests, $streams, $uploads)));
}

/** Makes a PSR-7 request from a request. */
function toPsr(
    Request $request,
    ServerRequestFactoryInterface $requests,
    StreamFactoryInterface $streams,
    UploadedFileFactoryInterface $uploads,
): ServerRequestInterface {
    $psr = $requests->createServerRequest($request->method, $request->url(), $request->server)
        ->withProtocolVersion(substr($request->protocol, strlen('HTTP/')))
        ->withQueryParams($request->query)
        ->withCookieParams($request->cookies)
        ->withAttribute(Request::class, $request);
    foreach ($request->headers as $name => $values) {
        $psr = $psr->withHeader((string) $name, $values);
    }
    if (Globals::hasForm($request)) {
        $psr = $psr->withParsedBody($request->form);
    }
    if ($request->files) {
        $convert = function (Upload|array $node) use (&$convert, $streams, $uploads): mixed {
            return is_array($node) ? array_map($convert, $node) : $uploads->createUploadedFile(
                $node->isOk() ? $streams->createStreamFromFile($node->path) : $streams->createStream(),
                $node->size,
                $node->error,
                $node->name,
                $node->type,
            );
        };
        $psr = $psr->withUploadedFiles(array_map($convert, $request->files));
    }
    $body = $request->bodyStream();
    return $psr->withBody($streams->createStreamFromResource($body));
}

/** Makes a response from a PSR-7 response. A body that knows its size is sent with its length, another as it comes. */
function fromPsr(ResponseInterface $psr): Response
{
    $body = $psr->getBody();
    $size = $body->getSize();
    if ($size !== null && $size <= Wire::COPY_LIMIT) {
        $response = new Response((string) $body, $psr->getStatusCode());
    } else {
        $response = new Response((static function () use ($body): iterable {
            if ($body->isSeekable()) {
                $body->rewind();
            }
            while (!$body->eof()) {
                yield $body->read(Wire::COPY_LIMIT);
            }
        })(), $psr->getStatusCode());
    }
    foreach ($psr->getHeaders() as $name => $values) {
        $response->header((string) $name, $values);
    }
    if ($size !== null) {
        $response->header('Content-Length', $size);
    }
    return $response;
}
