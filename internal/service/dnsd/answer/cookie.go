package answer

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Cookies makes and checks server cookies (RFC 9018). Its secret is replaced daily; what the last one made is good for
// as long as a cookie lives.
type Cookies struct {
	// Secret gives the secret of a day since 1970. It is called for today and for yesterday, and may be slow.
	Secret func(day uint32) [16]byte
	days   [2]uint32
	keys   [2][2]uint64
	known  bool
}

const (
	secondsPerDay = 24 * 60 * 60
	cookieAge     = 60 * 60 // RFC 9018 §4.3: how old a cookie may be
	cookieAhead   = 5 * 60
	cookieFresh   = 30 * 60 // until when the client's own is sent back
	serverCookie  = 16
	clientCookie  = 8
)

// key gives the secret of the day of a moment.
func (c *Cookies) key(at uint32) (k0, k1 uint64) {
	day := at / secondsPerDay
	i := day & 1
	if !c.known || c.days[i] != day {
		if !c.known {
			c.days, c.known = [2]uint32{^uint32(0), ^uint32(0)}, true
		}
		secret := c.Secret(day)
		c.days[i] = day
		c.keys[i] = [2]uint64{binary.LittleEndian.Uint64(secret[:8]), binary.LittleEndian.Uint64(secret[8:])}
	}
	return c.keys[i][0], c.keys[i][1]
}

// check reports whether a client's option holds a cookie that was made here for it, and whether it is to be used on.
func (c *Cookies) check(option []byte, client netip.Addr, now uint32) (valid, fresh bool) {
	if len(option) != clientCookie+serverCookie || option[8] != 1 {
		return false, false
	}
	made := binary.BigEndian.Uint32(option[12:])
	age := int32(now - made) //nolint:gosec // serial number arithmetic, as RFC 9018 §4.3 wants
	if age > cookieAge || age < -cookieAhead {
		return false, false
	}
	var want [serverCookie]byte
	c.make(&want, option[:clientCookie], option[9:12], client, made)
	return subtle.ConstantTimeCompare(want[:], option[clientCookie:]) == 1, age <= cookieFresh
}

// make makes the server cookie for a client's: version, three reserved octets, time, hash (RFC 9018 §4).
func (c *Cookies) make(out *[serverCookie]byte, clients, reserved []byte, client netip.Addr, at uint32) {
	var text [clientCookie + 8 + 16]byte
	copy(text[:], clients)
	text[8] = 1
	copy(text[9:12], reserved)
	binary.BigEndian.PutUint32(text[12:], at)
	n := clientCookie + 8
	if client.Is4() {
		four := client.As4()
		n += copy(text[n:], four[:])
	} else {
		sixteen := client.As16()
		n += copy(text[n:], sixteen[:])
	}
	copy(out[:8], text[8:16])
	k0, k1 := c.key(at)
	binary.LittleEndian.PutUint64(out[8:], sipHash(k0, k1, text[:n]))
}

// sipHash is SipHash-2-4 with 64 bits of output, as RFC 9018 §4.4 takes it.
func sipHash(k0, k1 uint64, text []byte) uint64 {
	v := [4]uint64{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(text)) << 56
	for len(text) >= 8 {
		m := binary.LittleEndian.Uint64(text)
		v[3] ^= m
		sipRound(&v)
		sipRound(&v)
		v[0] ^= m
		text = text[8:]
	}
	for i, b := range text {
		last |= uint64(b) << (8 * i)
	}
	v[3] ^= last
	sipRound(&v)
	sipRound(&v)
	v[0] ^= last
	v[2] ^= 0xff
	for range 4 {
		sipRound(&v)
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func sipRound(v *[4]uint64) {
	v[0] += v[1]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[3]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] += v[3]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] += v[1]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[2] = bits.RotateLeft64(v[2], 32)
}
