package control

import "postroad/internal/service/control/transfers"

// Transfers of zones in the words of package transfers.
type (
	ZoneTransfers    = transfers.Access        // transfers as actors see and plan them
	TSIGKey          = transfers.Key           // a key as listings show it
	TSIGKeySpec      = transfers.KeySpec       // a wanted key
	TransferPeer     = transfers.Peer          // who may have a zone, or is told of its changes
	TransferPeerSpec = transfers.PeerSpec      // a wanted one
	SecondaryZone    = transfers.Secondary     // a zone that has its home elsewhere
	SecondarySpec    = transfers.SecondarySpec // a wanted one
	Catalog          = transfers.Catalog       // a catalog zone
	CatalogSpec      = transfers.CatalogSpec   // a wanted one
)

// Transfers shows and plans who exchanges zones with us, by the configuration of this moment.
func (s *Service) Transfers() *ZoneTransfers {
	return &ZoneTransfers{Store: s.o.Store, Box: s.o.Box, State: s.current.Load()}
}
