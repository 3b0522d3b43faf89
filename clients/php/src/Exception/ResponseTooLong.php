<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The response is over 1 MiB. */
final class ResponseTooLong extends MegakiException
{
    protected const NUMBER = 12;
}
