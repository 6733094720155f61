using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// When links go on failing, the members are asked whom they reach at all. One answer of all of them shows which pairs the ring order has to avoid, however many there are:
/// trying one pair after the other would take the longer the larger the group is.
/// </summary>
internal sealed partial class MasterStateMachine
{
    /// <summary>The members are asked whom they reach. Void when an epoch opens meanwhile.</summary>
    internal sealed class LinkSurvey(long startedMs, HashSet<PeerRecord> suspects, HashSet<PeerRecord> asked)
    {
        public long StartedMs { get; set; } = startedMs;

        /// <summary>All pairs are tried of which one end is among these.</summary>
        public HashSet<PeerRecord> Suspects { get; } = suspects;

        /// <summary>Who has not answered.</summary>
        public HashSet<PeerRecord> Asked { get; } = asked;

        public HashSet<PeerPair> Unreachable { get; } = [];
    }

    private void BeginSurvey(GroupRecord group)
    {
        var suspects = group.Ring.Count <= Limits.SurveyedWholeMax ? group.Ring : [.. group.Ring.OrderByDescending(p => TroublesOf(p, group)).Take(Limits.SurveySuspectsMax)];
        group.Survey = new LinkSurvey(_nowMs, [.. suspects], [.. group.Ring]);
        group.OpenedMs = _nowMs; // Time for the answers.
        foreach (var peer in group.Ring)
        {
            var others = group.Survey.Suspects.Contains(peer) ? group.Ring : suspects;
            Emit(new MasterOutput.Send(peer.Connection, new SurveyLinks(group.Epoch, [.. others.Where(p => p != peer).Select(p => (ushort)p.Rank)])));
        }
    }

    private void OnLinksSurveyed(PeerRecord peer, LinksSurveyed surveyed)
    {
        var group = GroupOf(peer);
        if (surveyed.Epoch != group.Epoch || group.Survey is not { } survey || !survey.Asked.Remove(peer))
        {
            return;
        }

        foreach (var rank in surveyed.Unreachable.Where(r => r < group.Ring.Count && r != peer.Rank))
        {
            survey.Unreachable.Add(PeerPair.Of(peer.Id, group.Ring[rank].Id));
        }

        if (survey.Asked.Count == 0)
        {
            EndSurvey(group, survey);
        }
    }

    private void EndSurvey(GroupRecord group, LinkSurvey survey)
    {
        group.Survey = null;
        group.OpenedMs = _nowMs;
        foreach (var (pair, trouble) in _linkTroubles.Where(t => survey.Suspects.Any(s => t.Key.Contains(s.Id)) && !survey.Unreachable.Contains(t.Key)))
        {
            trouble.UnreachableSinceMs = null;
        }

        foreach (var pair in survey.Unreachable)
        {
            if (!_linkTroubles.TryGetValue(pair, out var trouble))
            {
                _linkTroubles.Add(pair, trouble = new LinkTrouble(_nowMs));
            }

            trouble.UnreachableSinceMs = trouble.UnreachableSinceMs >= group.StoodMs ? trouble.UnreachableSinceMs : survey.StartedMs;
            trouble.UnreachableUntilMs = trouble.LastMs = _nowMs;
        }

        if (survey.Unreachable.Count > 0)
        {
            var named = string.Join(", ", survey.Unreachable.Take(Limits.PeersNamedMax).Select(p => $"{p.Low.ToShortString()} and {p.High.ToShortString()}"));
            Report(MasterEventKind.LinksSurveyed, null, $"of {group.Group} these peers do not reach each other: {named}{Others(survey.Unreachable.Count)}", group);
        }

        // Without an order the next tick asks once more: it may pass, or it is proven after a while.
        var current = group.Ring.ConvertAll(p => p.Id);
        var proven = ProvenPairs(group);
        if (RingOrder.Choose(current, current, UnreachablePairs(group, proven)) is not null || RingOrder.Choose(current, current, proven) is null)
        {
            OpenEpoch(group, group.RetryBecause ?? "links were surveyed", evident: true);
        }
    }

    /// <summary>Pairs that cannot connect, as far as this recovery has shown.</summary>
    private HashSet<PeerPair> UnreachablePairs(GroupRecord group, HashSet<PeerPair> proven)
        => [.. _linkTroubles.Where(t => t.Value.UnreachableSinceMs >= group.StoodMs).Select(t => t.Key), .. proven];

    private int TroublesOf(PeerRecord peer, GroupRecord group) => _linkTroubles.Count(t => t.Key.Contains(peer.Id) && IsOfThisRecovery(t.Value, group));
}
