<?php

// A script that is requested by its name, with more in the rest of the path.

require __DIR__ . '/../lib/page.php';

page('Article', '<p>' . htmlspecialchars($_SERVER['PATH_INFO'] ?? 'none') . ' in ' . htmlspecialchars(getenv('APP_ENV')) . '</p>');
