package routing

import (
	"fmt"

	"postroad/internal/proto/smtp"
)

// The replies of a decision. Their texts go to strangers and name nothing but what the stranger said.
var (
	replyAccepted       = smtp.Reply{Code: 250, Enhanced: smtp.Enhanced{2, 1, 5}, Text: "recipient ok"}
	replyUnknown        = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 1}, Text: "no such mailbox here"}
	replyRelay          = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "we do not relay to this domain for you"}
	replyRoute          = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "routes inside the local part are not followed"}
	replyNoDomain       = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 1, 3}, Text: "the recipient needs a domain"}
	replyTooManyTargets = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "this address leads to too many others"}
	replyHopUTF8        = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 6, 7}, Text: "the recipient's server does not take internationalized mail"}
	replyHopSize        = smtp.Reply{Code: 552, Enhanced: smtp.Enhanced{5, 3, 4}, Text: "the recipient's server does not take messages of this size"}
	replyStale          = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "cannot tell right now, try again later"}
)

// String is the rule's name in JSON and in the reference.
func (r Rule) String() string {
	if int(r) < len(ruleNames) && ruleNames[r] != "" {
		return ruleNames[r]
	}
	return "none"
}

var ruleNames = [...]string{
	RuleAddressForm: "address-form", RuleDomainOurs: "domain-ours", RuleDomainForeign: "domain-foreign",
	RuleDomainInert: "domain-inert", RuleModeLocal: "mode-local", RuleModeRelay: "mode-relay", RuleModeRemote: "mode-remote",
	RuleMailbox: "mailbox", RulePlusAddress: "plus-address", RuleAlias: "alias", RuleForward: "forward", RuleGroup: "group",
	RuleCatchAll: "catch-all", RulePostmaster: "postmaster", RuleUnknownRecipient: "unknown-recipient",
	RuleExpansionLimit: "expansion-limit", RuleNextHop: "next-hop", RuleByMX: "by-mx", RuleOutbound: "outbound",
	RuleOwnUser: "own-user", RuleRelayDenied: "relay-denied", RuleStaleView: "stale-view",
	RuleNextHopLMTP: "next-hop-lmtp", RuleHopUTF8: "hop-utf8", RuleHopSize: "hop-size", RuleOutboundVerified: "outbound-verified",
}

var ruleSentences = [...]string{
	RuleAddressForm:      "The address %s is not one that we take from this client.",
	RuleDomainOurs:       "The domain %s is hosted here and its ownership is shown.",
	RuleDomainForeign:    "The domain %s is not hosted here.",
	RuleDomainInert:      "The domain %s is entered here but its ownership is not shown, so it is treated as foreign.",
	RuleModeLocal:        "Mail for %s is delivered here.",
	RuleModeRelay:        "Mail for %s is handed on to its own server.",
	RuleModeRemote:       "Mail for %s is received elsewhere.",
	RuleMailbox:          "The mailbox %s exists.",
	RulePlusAddress:      "What follows the plus sign is left out: %s.",
	RuleAlias:            "%s is an alias.",
	RuleForward:          "%s is forwarded.",
	RuleGroup:            "%s is a group.",
	RuleCatchAll:         "The domain has a catch-all: %s.",
	RulePostmaster:       "Every domain has a postmaster; nobody is named here, so it is %s.",
	RuleUnknownRecipient: "There is no mailbox, alias, forward or group %s.",
	RuleExpansionLimit:   "%s leads to more addresses than one message may go to.",
	RuleNextHop:          "The next hop is given: %s.",
	RuleByMX:             "The next hop is found by the MX records of %s.",
	RuleOutbound:         "Mail to foreign domains leaves through %s, under TLS where that is offered.",
	RuleOutboundVerified: "Mail to foreign domains leaves through %s, under verified TLS only.",
	RuleOwnUser:          "The sender is one of our own: %s.",
	RuleRelayDenied:      "Strangers may not send through us to %s.",
	RuleStaleView:        "The directory could not be confirmed lately, so no final refusal is given%s.",
	RuleNextHopLMTP:      "The next hop is given, and takes mail by LMTP: %s.",
	RuleHopUTF8:          "The next hop %s did not offer SMTPUTF8 when it was last asked.",
	RuleHopSize:          "The next hop %s said when it was last asked that it takes no message of this size.",
}

// Sentence is the reason in plain words.
func (r Reason) Sentence() string {
	if int(r.Rule) >= len(ruleSentences) || ruleSentences[r.Rule] == "" {
		return r.Fact
	}
	return fmt.Sprintf(ruleSentences[r.Rule], r.Fact)
}
