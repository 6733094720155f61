using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Where peers are reached: by whom, and by nobody else.</summary>
internal sealed partial class MasterStateMachine
{
    private bool _anyRivals;

    /// <summary>What the peer announces counts. Else others reach it at the address that it connects from.</summary>
    private static void UseAddresses(PeerRecord peer, Hello hello)
    {
        peer.Address = hello.Announced ?? peer.Remote with { Port = hello.DataPort };
        peer.Alternative = hello.Alternative;
        peer.IsOnMastersHost = hello.Announced is null && peer.Remote.IsLoopback;
    }

    private static string? AddressRefusal(PeerRecord peer)
    {
        if (!peer.Address.IsPossible || peer.Alternative is { IsPossible: false })
        {
            return $"it would be reached at {(peer.Address.IsPossible ? peer.Alternative : peer.Address)}, and nobody can connect there: announce the address of a host, and a port";
        }

        return peer.Address.IsLinkLocal
            ? $"its address {peer.Address} is a link-local one, which means nothing on other hosts: use an IPv4 or a global IPv6 address of the master, or announce such an address of this peer"
            : null;
    }

    /// <summary>
    /// A peer on the master's host is reached where the master is reached: each peer from elsewhere is told the address that its own connection came to.
    /// </summary>
    public static Member MemberFor(PeerRecord recipient, PeerRecord peer) => peer.IsOnMastersHost && !recipient.Remote.IsLoopback
        ? new Member(peer.Id, recipient.Local with { Port = peer.Address.Port })
        : new Member(peer.Id, peer.Address, peer.Alternative);

    private void SendEpoch(GroupRecord group, EpochOpened epoch)
    {
        var isSeenDifferently = group.Ring.Exists(p => p.IsOnMastersHost);
        var messages = new Dictionary<PeerAddress, EpochOpened>();
        foreach (var peer in group.Ring)
        {
            var view = isSeenDifferently && !peer.Remote.IsLoopback ? peer.Local with { Port = 0 } : default;
            if (!messages.TryGetValue(view, out var message))
            {
                messages.Add(view, message = epoch with { Members = [.. group.Ring.Select(p => MemberFor(peer, p))] });
            }

            Emit(new MasterOutput.Send(peer.Connection, message));
        }
    }

    /// <summary>
    /// Two peers cannot be reached at one address. The first may be gone without the master knowing, and this one its successor; so it waits, pending, until the first
    /// was removed or has shown that it lives.
    /// </summary>
    private void AwaitRival(PeerRecord peer)
    {
        peer.Rival = _peers.Values.FirstOrDefault(p => p != peer && p.State != MasterPeerState.Unregistered && p.Rival is null && p.Address == peer.Address);
        peer.RivalMs = _nowMs;
        _anyRivals |= peer.Rival is not null;
    }

    private void SettleRivals()
    {
        for (var i = 0; _anyRivals && i < _pending.Count; i++)
        {
            var peer = _pending[i];
            if (peer.Rival is not { } rival)
            {
                continue;
            }

            if (!_peers.ContainsKey(rival.Connection))
            {
                AwaitRival(peer);
                if (peer.Rival is null)
                {
                    if (_groups.TryGetValue(peer.Group.Value, out var group))
                    {
                        TryAdmitCompany(group);
                    }

                    TryUpdateTopology();
                    i = -1; // Others may have been admitted, too.
                }
            }
            else if (rival.LastHeardMs > peer.RivalMs + Configuration.HeartbeatIntervalMs)
            {
                i--;
                Refuse(peer, $"it would be reached where {rival} is reached: let each peer of a host, or behind one forwarding address, listen on a port of its own or announce one");
            }
        }

        _anyRivals = _anyRivals && _pending.Exists(p => p.Rival is not null);
    }
}
