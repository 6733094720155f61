using Collective.EndToEnd.Support;
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

    protected PeerProcess Start(string name, CollectiveMaster master, string arguments) => Own(PeerProcess.Start(name, Log, master, arguments));

    /// <summary>
    /// Once all are connected, lets those begin who wait for it. A peer that died before would leave the others waiting for their minimum, as they should.
    /// </summary>
    protected static async Task Begin(PeerProcess[] waiting, params PeerProcess[] others)
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
    protected static async Task GoOnAndLeave(params PeerProcess[] survivors)
    {
        var before = Array.ConvertAll(survivors, s => s.Committed.Count);
        for (var i = 0; i < survivors.Length; i++)
        {
            var heard = before[i];
            await survivors[i].Said(
                $"two further rounds in a world of {survivors.Length}",
                lines => lines.Where(l => l.StartsWith("committed", StringComparison.Ordinal)).Skip(heard).Count(l => IsRoundOf(l, survivors.Length)) >= 2,
                Deadline);
        }

        survivors[0].Tell("stop");
        foreach (var survivor in survivors)
        {
            Assert.That(await survivor.Exited(Deadline), Is.Zero, survivor.Name);
        }

        // Aborts may differ: who had not entered when a peer was lost has nothing to abort. Commits may not.
        Assert.That(survivors.Select(s => s.Committed), Is.All.EqualTo(survivors[0].Committed));
    }

    protected static bool IsRoundOf(string line, int worldSize) => line.StartsWith("committed small", StringComparison.Ordinal) && line.Contains($"world {worldSize} ", StringComparison.Ordinal);
}
