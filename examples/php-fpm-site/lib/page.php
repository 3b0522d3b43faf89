<?php

/** Shows a page, and ends. */
function page(string $title, string $body): never
{
    $title = htmlspecialchars($title);
    echo "<!doctype html>\n<title>$title</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n<h1>$title</h1>\n$body\n";
    exit;
}
