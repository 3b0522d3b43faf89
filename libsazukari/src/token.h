/* token.h: the characters of HTTP (RFC 9110, section 5.6.2). */
#ifndef SZKRI_TOKEN_H
#define SZKRI_TOKEN_H

#include <string.h>

/* szkri_is_text returns 1 for what a line may hold: no control characters. */
static inline int szkri_is_text(char c)
{
	return ((unsigned char)c >= ' ' && c != 0x7F) || c == '\t';
}

static inline int szkri_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* szkri_is_token returns 1 for a word that can be a method or a field's name. */
static inline int szkri_is_token(const char *s)
{
	if (*s == '\0')
		return 0;
	for (; *s != '\0'; s++)
		if (!szkri_is_alnum(*s) && strchr("!#$%&'*+-.^_`|~", *s) == NULL)
			return 0;
	return 1;
}

static inline char szkri_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* szkri_same_name compares names of fields, whatever the locale. */
static inline int szkri_same_name(const char *a, const char *b)
{
	while (*a != '\0' && szkri_lower(*a) == szkri_lower(*b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

#endif
