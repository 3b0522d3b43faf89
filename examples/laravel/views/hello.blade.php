<!DOCTYPE html>
<title>Hello</title>
@if ($name === 'World')
<p>Hello, world!</p>
@else
<p>Hello, {{ $name }}!</p>
@endif
