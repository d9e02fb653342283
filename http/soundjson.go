package http

// The bodies of nearly all messages are JSON as it should be. That is found out in
// one look at each byte; what is wrong with the others takes its time.

// soundJSON reports whether text is one JSON value that nests at most so deeply.
// Whether its strings are UTF-8 is not looked at.
func soundJSON(text []byte, room int) bool {
	end := pastValue(text, 0, room)
	return end >= 0 && pastSpace(text, end) == len(text)
}

// What follows returns where something ends that begins at i, or -1 when nothing
// of that kind does.

func pastValue(text []byte, i, room int) int {
	if i = pastSpace(text, i); i == len(text) {
		return -1
	}
	switch text[i] {
	case '"':
		return pastString(text, i)
	case '{', '[':
		return pastItems(text, i, room-1)
	case 't':
		return pastWord(text, i, "true")
	case 'f':
		return pastWord(text, i, "false")
	case 'n':
		return pastWord(text, i, "null")
	}
	return pastNumber(text, i)
}

func pastSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// pastItems passes an object or an array.
func pastItems(text []byte, i, room int) int {
	if room < 0 {
		return -1
	}
	named, end := text[i] == '{', text[i]+2 // as } and ] stand in ASCII
	if i = pastSpace(text, i+1); i < len(text) && text[i] == end {
		return i + 1
	}
	for {
		if named {
			if i = pastName(text, i); i < 0 {
				return -1
			}
		}
		if i = pastValue(text, i, room); i < 0 {
			return -1
		}
		switch i = pastSpace(text, i); {
		case i == len(text):
			return -1
		case text[i] == end:
			return i + 1
		case text[i] != ',':
			return -1
		}
		i++
	}
}

// pastName passes the name of a member and its colon.
func pastName(text []byte, i int) int {
	if i = pastSpace(text, i); i == len(text) || text[i] != '"' {
		return -1
	}
	if i = pastString(text, i); i < 0 {
		return -1
	}
	if i = pastSpace(text, i); i == len(text) || text[i] != ':' {
		return -1
	}
	return i + 1
}

func pastString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = pastEscape(text, i) - 1; i < 0 {
				return -1
			}
		}
	}
	return -1
}

func pastEscape(text []byte, i int) int {
	if i++; i == len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for range 4 {
			if i++; i == len(text) || !isHex(text[i]) {
				return -1
			}
		}
		return i + 1
	}
	return -1
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func pastWord(text []byte, i int, word string) int {
	if end := i + len(word); end <= len(text) && string(text[i:end]) == word {
		return end
	}
	return -1
}

func pastNumber(text []byte, i int) int {
	if text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if i = pastDigits(text, i); i < 0 {
		return -1
	}
	if i < len(text) && text[i] == '.' {
		if i = pastDigits(text, i+1); i < 0 {
			return -1
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		return pastDigits(text, i)
	}
	return i
}

// pastDigits passes one digit at least.
func pastDigits(text []byte, i int) int {
	begin := i
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	if i == begin {
		return -1
	}
	return i
}
