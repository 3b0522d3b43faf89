<?php

declare(strict_types=1);

namespace Megaki;

use Psr\Http\Client\NetworkExceptionInterface;
use Psr\Http\Message\RequestInterface;

/**
 * The exception of Psr18Client for a failure of the connection, or of the session file;
 * getPrevious() is what Client throws.
 */
final class Psr18NetworkException extends \RuntimeException implements NetworkExceptionInterface
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
