using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Who does not fit is refused before it is admitted; and those who waited for its company do not wait for ever.</summary>
internal sealed partial class MasterStateMachine
{
    private readonly record struct Refusal(PeerGroup Group, long AtMs, string Text);

    // The latest last.
    private readonly List<Refusal> _refusals = [];

    private void OnAnnounce(PeerRecord peer, Announce announce)
    {
        if (announce.Text is null)
        {
            peer.Fingerprints.Remove(announce.Scope);
        }
        else if (peer.Fingerprints.Count >= Limits.FingerprintsMax && !peer.Fingerprints.ContainsKey(announce.Scope))
        {
            Evict(peer, $"announced more than {Limits.FingerprintsMax} fingerprints");
            return;
        }
        else
        {
            peer.Fingerprints[announce.Scope] = announce.Text;
        }

        RefuseMisfits(peer.Group);
    }

    /// <summary>What has been announced, admitted or lost may make one of those who wait a misfit.</summary>
    private void RefuseMisfits(PeerGroup group)
    {
        foreach (var peer in _pending.FindAll(p => p.Group == group))
        {
            if (Misfit(peer) is { } reason)
            {
                Refuse(peer, reason);
            }
        }
    }

    /// <summary>Why a peer does not belong to the members of its group, if it does not. A fingerprint is only the group's as long as all members that have announced one of its scope agree.</summary>
    private string? Misfit(PeerRecord peer)
    {
        if (peer.Fingerprints.Count == 0 || !_groups.TryGetValue(peer.Group.Value, out var group))
        {
            return null;
        }

        foreach (var (scope, text) in peer.Fingerprints.OrderBy(f => f.Key, StringComparer.Ordinal))
        {
            var members = group.Ring.FindAll(p => p.Fingerprints.ContainsKey(scope));
            if (members is [var first, ..] && members.TrueForAll(p => p.Fingerprints[scope] == first.Fingerprints[scope]) && Differ(text, first.Fingerprints[scope]))
            {
                return Difference(scope, text, first.Fingerprints[scope], $"that of the members of {peer.Group} (peer {first.Id.ToShortString()} has announced it)");
            }
        }

        return null;
    }

    /// <summary>Of those who would found a group together, most decide what it is, then the lowest id. Whether somebody was refused.</summary>
    private bool RefuseUnlikeFounders(List<PeerRecord> newcomers)
    {
        var misfits = new Dictionary<PeerRecord, string>();
        foreach (var founders in newcomers.Where(p => !_groups.ContainsKey(p.Group.Value)).GroupBy(p => p.Group))
        {
            foreach (var scope in founders.SelectMany(p => p.Fingerprints.Keys).Distinct().Order(StringComparer.Ordinal))
            {
                var announced = founders.Where(p => p.Fingerprints.ContainsKey(scope)).OrderBy(p => p.Id).ToList();
                var leading = announced.GroupBy(p => p.Fingerprints[scope]).MaxBy(g => g.Count())!;
                foreach (var peer in announced.Where(p => announced.TrueForAll(a => a.Fingerprints[scope].Length > 0) && Differ(p.Fingerprints[scope], leading.Key)))
                {
                    misfits.TryAdd(peer, Difference(scope, peer.Fingerprints[scope], leading.Key, $"that of the others who wait to found {peer.Group} (peer {leading.First().Id.ToShortString()} has announced it)"));
                }
            }
        }

        foreach (var (peer, reason) in misfits)
        {
            Refuse(peer, reason);
        }

        return misfits.Count > 0;
    }

    private static bool Differ(string one, string other) => one.Length > 0 && other.Length > 0 && one != other;

    private static string Difference(string scope, string own, string others, string whose)
        => $"its fingerprint{(scope.Length > 0 ? $" of scope \"{scope}\"" : "")} is \"{own}\", and \"{others}\" is {whose}: it runs another model or program. Let all peers of a group run the same";

    /// <summary>A peer that is registered but not admitted is told why it may not come, and goes.</summary>
    private void Refuse(PeerRecord peer, string reason)
    {
        var text = $"peer at {peer.Remote} refused: {reason}";
        Dismiss(peer, reason, text);
        if (_refusals.Count >= Limits.RefusalsRememberedMax)
        {
            _refusals.RemoveAt(0);
        }

        _refusals.Add(new Refusal(peer.Group, _nowMs, text));
        foreach (var waiting in _pending.FindAll(p => p.Group == peer.Group))
        {
            waiting.NoticeAtMs = Math.Min(waiting.NoticeAtMs, Math.Max(_nowMs, waiting.CalledMs + Limits.FirstWaitNoticeMs));
        }
    }

    private void Dismiss(PeerRecord peer, string reason, string text)
    {
        _peers.Remove(peer.Connection);
        _pending.Remove(peer);
        Emit(new MasterOutput.Send(peer.Connection, new Refused(ErrorCode.MasterRefused, reason)));
        Emit(new MasterOutput.Close(peer.Connection));
        Report(MasterEventKind.PeerRefused, null, text, reason: reason, source: peer.Remote);
    }

    /// <summary>
    /// Those who found a group together wait for each other: when one of them was refused, the others would wait until their timeouts. Whom a group has let in, or lets in,
    /// does not depend on one that was refused.
    /// </summary>
    private bool EndsWithRefusal(PeerRecord founder)
    {
        if (_groups.ContainsKey(founder.Group.Value) || _refusals.FindLast(r => r.Group == founder.Group && r.AtMs >= founder.CalledMs - Limits.RefusalRecentMs) is not { Text: { } refusal })
        {
            return false;
        }

        var reason = $"it waited for company, {Company(founder)}, but one of those who were to come was turned away: {refusal}. Mend that, and connect all of them again";
        Dismiss(founder, reason, $"{founder} of {founder.Group} waits no longer: {reason}");
        return true;
    }
}
