package zone

// Statistics is what one name server has answered from a zone since it began to answer for it. Answers that the rate
// limit held back count too; questions about names that the zone does not answer for do not.
type Statistics struct {
	Serial    uint32 // that it answers with now
	Answers   uint64 // with what was asked for
	Referrals uint64 // to the servers of a delegation
	NoData    uint64 // the name has no such records
	NXDomain  uint64 // there is no such name
}
