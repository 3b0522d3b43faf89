<?php

declare(strict_types=1);

namespace Megaki;

use Megaki\Exception\MessageTooLong;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseFactoryInterface;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\StreamFactoryInterface;

/**
 * A client for programs that want PSR-18. The Host of a request is that of its URI; its
 * scheme and port don't matter, as the Megaki client knows its server.
 */
final class Psr18Client implements ClientInterface
{
    private const OWN = ['host', 'content-length', 'transfer-encoding'];

    public function __construct(
        private readonly Client $client,
        private readonly ResponseFactoryInterface $responses,
        private readonly StreamFactoryInterface $streams,
    ) {
    }

    public function sendRequest(RequestInterface $request): ResponseInterface
    {
        $method = $request->getMethod();
        $headers = array_filter(
            $request->getHeaders(),
            static fn (int|string $name): bool => !in_array(strtolower((string) $name), self::OWN, true),
            ARRAY_FILTER_USE_KEY,
        );
        try {
            $host = $request->getHeaderLine('Host');
            $message = Request::write($method, $request->getRequestTarget(), $host, $headers, (string) $request->getBody());
            $response = Response::parse($this->client->send($message), $method);
        } catch (\InvalidArgumentException | MessageTooLong $e) {
            throw new Psr18RequestException($request, $e);
        } catch (\RuntimeException $e) { // a MegakiException, or a session file that can't be written
            throw new Psr18NetworkException($request, $e);
        }
        $result = $this->responses->createResponse($response->getStatusCode(), $response->getReasonPhrase());
        foreach ($response->getHeaders() as $name => $values) {
            $result = $result->withAddedHeader((string) $name, $values);
        }
        return $result->withBody($this->streams->createStream($response->getBody()));
    }
}
