using Collective.EndToEnd.Support;
using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>Peers in processes of their own, and a master in this one.</summary>
[Platform("Linux", Reason = "ends processes by signals")]
internal abstract class ProcessTest : EndToEndTest
{
    /// <summary>6 MiB, in 24 segments for three peers: needs the master's Go.</summary>
    protected const string Bulk = "--bulk-elements 786432";

    /// <summary>Short enough that heartbeats come soon, long enough for a busy machine.</summary>
    protected static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(4);

    protected TestProcess Start(string name, CollectiveMaster master, string arguments) => Start(name, master.EndPoint.ToString(), arguments);

    protected TestProcess Start(string name, string master, string arguments, params IEnumerable<string> command) => Own(TestProcess.Peer(name, Log, master, arguments, command));

    /// <summary>
    /// Once all are connected, lets those begin who wait for it. A peer that died before would leave the others waiting for their minimum, as they should.
    /// </summary>
    protected static async Task Begin(TestProcess[] waiting, params TestProcess[] others)
    {
        foreach (var peer in others.Concat(waiting))
        {
            await peer.Said("connected", lines => lines.Any(l => l.StartsWith("connected", StringComparison.Ordinal)), Deadline);
        }

        foreach (var peer in waiting)
        {
            peer.Tell("go");
        }
    }

    /// <summary>The peers go on together, in a world of just them, and leave in peace; all saw the same collectives commit.</summary>
    protected static async Task GoOnAndLeave(params TestProcess[] survivors)
    {
        await GoOn(survivors);
        await Leave(survivors);
    }

    /// <summary>Each commits two further rounds in a world of just them.</summary>
    protected static async Task GoOn(params TestProcess[] peers)
    {
        var before = Array.ConvertAll(peers, s => s.Committed.Count);
        for (var i = 0; i < peers.Length; i++)
        {
            var heard = before[i];
            await peers[i].Said(
                $"two further rounds in a world of {peers.Length}",
                lines => lines.Where(l => l.StartsWith("committed", StringComparison.Ordinal)).Skip(heard).Count(l => IsRoundOf(l, peers.Length)) >= 2,
                Deadline);
        }
    }

    /// <summary>All leave in peace, and have seen the same commits, as far as each of them was there.</summary>
    protected static async Task Leave(params TestProcess[] peers)
    {
        peers[0].Tell("stop");
        foreach (var peer in peers)
        {
            Assert.That(await peer.Exited(Deadline), Is.Zero, peer.Name);
        }

        // Aborts may differ: who had not entered when a peer was lost has nothing to abort. Commits may not.
        var all = peers.MaxBy(p => p.Committed.Count)!.Committed;
        foreach (var peer in peers)
        {
            // Before it lost its place, and since it came back.
            var stays = peer.Stays;
            Assert.That(stays[0], Is.EqualTo(stays.Count == 1 ? all.TakeLast(stays[0].Count) : all.Take(stays[0].Count)), peer.Name);
            Assert.That(stays[^1], Is.EqualTo(all.TakeLast(stays[^1].Count)), peer.Name);
        }
    }

    protected void AssertNobodyLostItsPlace()
        => Assert.That(Log.Lines.Where(l => l.Contains("Collective.Master", StringComparison.Ordinal) && (l.Contains(" evicted: ", StringComparison.Ordinal) || l.Contains(" lost: ", StringComparison.Ordinal))), Is.Empty);

    protected static bool IsRoundOf(string line, int worldSize) => line.StartsWith("committed small", StringComparison.Ordinal) && line.Contains($"world {worldSize} ", StringComparison.Ordinal);

    /// <summary>Limits the rate from one host to another; where that cannot be, skips the test.</summary>
    protected static void Limit(HostNetwork network, int from, int to, int megabits)
    {
        try
        {
            network.Limit(from, to, megabits);
        }
        catch (InvalidOperationException e)
        {
            Assert.Ignore($"needs a kernel with token buckets (htb): {e.Message}");
        }
    }
}
