// Package ordered writes ids, numbers and instants as bytes that sort as they do, and
// reads them back. Both stores make the keys of their rows and indexes of it, so that
// both list and page in the same order. It is part of their formats.
//
//   - An id is any bytes, escaped so that keys sort as the ids do and no id can reach
//     into the next part: 00 is written 00 FF, and the end is 00 01.
//   - A number is eight bytes in big endian.
//   - An instant is such a number, moments before 1970 first; a past instant sorts the
//     latest first.
package ordered
