package api

import (
	"context"

	"postroad/internal/service/control"
)

type noticeList struct {
	DomainFilter
	Before string `query:"before" doc:"Notices whose ids come before this one"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (a *api) registerNotices() {
	listing(a, "notice-list", "/notices", "List what people were told of their domains' mail, newest first", func(ctx context.Context, actor control.Actor, in *noticeList) ([]control.NoticeInfo, error) {
		return a.control.Notices(ctx, actor, in.Domain, in.Before, in.Limit)
	})
}
