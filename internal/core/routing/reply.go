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
	replyOnboarding     = smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 2, 1}, Text: "no such mailbox here yet, try again later"}
	replyGateway        = smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "mail for this domain is taken from its filter only, send it to the exchangers named in DNS"}
	replyUnverified     = smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 4, 1}, Text: "the recipient cannot be verified right now, try again later"}
	replyNeeds          = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "cannot tell right now, try again later"}
	replyOwnLoop        = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 6}, Text: "the domain's exchangers lead back to this server"}
	replyOwnNowhere     = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "no exchanger of the domain can be found"}
	replyProofLost      = smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 7, 1}, Text: "mail for this domain is not taken until its ownership is shown again, try again later"}
	replyReturn         = smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "this address takes reports about forwarded mail only"}
	replyStale          = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "cannot tell right now, try again later"}
)

// String is the rule's name in JSON and in the reference.
func (r Rule) String() string {
	if int(r) < len(ruleNames) && ruleNames[r] != "" {
		return ruleNames[r]
	}
	return "none"
}

// ParseRule finds a rule by its name; false for a name that no rule has.
func ParseRule(name string) (Rule, bool) {
	for r, n := range ruleNames {
		if n == name && n != "" {
			return Rule(r), true //nolint:gosec // there are few
		}
	}
	return 0, false
}

var ruleNames = [...]string{
	RuleAddressForm: "address-form", RuleDomainOurs: "domain-ours", RuleDomainForeign: "domain-foreign",
	RuleDomainInert: "domain-inert", RuleModeLocal: "mode-local", RuleModeRelay: "mode-relay", RuleModeRemote: "mode-remote",
	RuleMailbox: "mailbox", RulePlusAddress: "plus-address", RuleAlias: "alias", RuleForward: "forward", RuleGroup: "group",
	RuleCatchAll: "catch-all", RulePostmaster: "postmaster", RuleUnknownRecipient: "unknown-recipient",
	RuleExpansionLimit: "expansion-limit", RuleNextHop: "next-hop", RuleByMX: "by-mx", RuleOutbound: "outbound",
	RuleOwnUser: "own-user", RuleRelayDenied: "relay-denied", RuleStaleView: "stale-view",
	RuleNextHopLMTP: "next-hop-lmtp", RuleHopUTF8: "hop-utf8", RuleHopSize: "hop-size", RuleOutboundVerified: "outbound-verified",
	RuleAutoMode: "auto-mode", RuleModeSplit: "mode-split", RuleModeBackup: "mode-backup", RuleGateway: "gateway",
	RuleGatewayBypassed: "gateway-bypassed", RuleOnboarding: "onboarding", RuleLeaving: "leaving", RuleDualDelivery: "dual-delivery",
	RuleRoutingAddress: "routing-address", RuleRecipientsAccept: "recipients-accept", RuleRecipientPresent: "recipient-present",
	RuleRecipientAbsent: "recipient-absent", RuleRecipientUnreachable: "recipient-unreachable", RuleListOutdated: "list-outdated",
	RuleKnownHere: "known-here", RuleExchanger: "exchanger", RuleNoExchanger: "no-exchanger", RuleExchangersUnknown: "exchangers-unknown", RuleNeeded: "needed",
	RuleProofGrace: "proof-grace", RuleProofLost: "proof-lost",
	RuleReturned: "returned", RuleReturnRefused: "return-refused", RuleSource: "source",
	RuleIdentityRoute: "identity-route",
}

var ruleSentences = [...]string{
	RuleAddressForm:          "The address %s is not one that we take from this client.",
	RuleDomainOurs:           "The domain %s is hosted here and its ownership is shown.",
	RuleDomainForeign:        "The domain %s is not hosted here.",
	RuleDomainInert:          "The domain %s is entered here but its ownership is not shown, so it is treated as foreign.",
	RuleModeLocal:            "Mail for %s is delivered here.",
	RuleModeRelay:            "Mail for %s is handed on to its own server.",
	RuleModeRemote:           "Mail for %s is received elsewhere.",
	RuleMailbox:              "The mailbox %s exists.",
	RulePlusAddress:          "What follows the plus sign is left out: %s.",
	RuleAlias:                "%s is an alias.",
	RuleForward:              "%s is forwarded.",
	RuleGroup:                "%s is a group.",
	RuleCatchAll:             "The domain has a catch-all: %s.",
	RulePostmaster:           "Every domain has a postmaster; nobody is named here, so it is %s.",
	RuleUnknownRecipient:     "There is no mailbox, alias, forward or group %s.",
	RuleExpansionLimit:       "%s leads to more addresses than one message may go to.",
	RuleNextHop:              "The next hop is given: %s.",
	RuleByMX:                 "The next hop is found by the MX records of %s.",
	RuleOutbound:             "Mail to foreign domains leaves through %s, under TLS where that is offered.",
	RuleOutboundVerified:     "Mail to foreign domains leaves through %s, under verified TLS only.",
	RuleOwnUser:              "The sender is one of our own: %s.",
	RuleRelayDenied:          "Strangers may not send through us to %s.",
	RuleStaleView:            "The directory could not be confirmed lately, so no final refusal is given%s.",
	RuleNextHopLMTP:          "The next hop is given, and takes mail by LMTP: %s.",
	RuleHopUTF8:              "The next hop %s did not offer SMTPUTF8 when it was last asked.",
	RuleHopSize:              "The next hop %s said when it was last asked that it takes no message of this size.",
	RuleAutoMode:             "The mode follows public DNS, which asks for %s.",
	RuleModeSplit:            "Some mailboxes of %s are here; everybody else's mail goes to the domain's real server.",
	RuleModeBackup:           "This server is a backup for %s: it holds mail for the domain's real server.",
	RuleGateway:              "The client %s is one of the domain's gateways.",
	RuleGatewayBypassed:      "Mail for %s is taken from its gateways only, and the client is none of them.",
	RuleOnboarding:           "The domain is being moved here, so unknown recipients are refused for now only, until %s.",
	RuleLeaving:              "The domain has left; senders who remember the old DNS records are served until %s.",
	RuleDualDelivery:         "A copy goes to the better exchangers of %s too.",
	RuleRoutingAddress:       "The routing address stands for the mailbox %s.",
	RuleRecipientsAccept:     "Every recipient of %s is taken; its real server judges.",
	RuleRecipientPresent:     "The recipient exists at the domain's real server: %s.",
	RuleRecipientAbsent:      "The recipient does not exist at the domain's real server: %s.",
	RuleRecipientUnreachable: "The domain's real server cannot be asked about the recipient now: %s.",
	RuleListOutdated:         "What is known of the recipient is too old to say that it does not exist: %s.",
	RuleKnownHere:            "%s is known here and needs no verification.",
	RuleExchanger:            "The best exchanger that is not this server is %s.",
	RuleNoExchanger:          "Public DNS names no exchanger of %s to which its mail could go.",
	RuleExchangersUnknown:    "The exchangers of %s cannot be learned just now; the queue looks again.",
	RuleNeeded:               "A fact is needed first: %s.",
	RuleReturned:             "It is the sender of mail that was forwarded, rewritten here; behind it is %s.",
	RuleReturnRefused:        "%s is a sender of forwarded mail that was rewritten here: it takes reports alone, and for 21 days.",
	RuleProofGrace:           "The proof of the domain's ownership is gone; all is as before until %s.",
	RuleProofLost:            "The proof of the domain's ownership is gone while public DNS still names us, so nobody's mail is taken until it is shown again; from %s on it is refused for good.",
	RuleSource:               "It leaves from the addresses that the operator chose for its sender's domain or for the installation: %s.",
	RuleIdentityRoute:        "It is sent as %s, an address elsewhere that was shown to be the sender's, and a route is set for that.",
}

// Sentence is the reason in plain words.
func (r Reason) Sentence() string {
	if int(r.Rule) >= len(ruleSentences) || ruleSentences[r.Rule] == "" {
		return r.Fact
	}
	return fmt.Sprintf(ruleSentences[r.Rule], r.Fact)
}
