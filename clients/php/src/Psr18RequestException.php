<?php

declare(strict_types=1);

namespace Megaki;

use Psr\Http\Client\RequestExceptionInterface;
use Psr\Http\Message\RequestInterface;

/** The exception of Psr18Client for a request that is wrong in itself. Nothing was sent. */
final class Psr18RequestException extends \RuntimeException implements RequestExceptionInterface
{
    public function __construct(private readonly RequestInterface $request, \Throwable $previous)
    {
        parent::__construct($previous->getMessage(), (int) $previous->getCode(), $previous);
    }

    public function getRequest(): RequestInterface
    {
        return $this->request;
    }
}
