using Collective.Protocol;
using Collective.Sharing;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

[TestFixture]
internal sealed class UploadLimitTests
{
    [Test]
    public void What_is_booked_at_once_leaves_one_after_the_other()
    {
        var limit = new UploadLimit(1_000_000);
        Assert.That(limit.Book(100_000, nowMs: 5), Is.Zero);
        Assert.That(limit.Book(100_000, nowMs: 5), Is.EqualTo(100).Within(1e-6));
        Assert.That(limit.Book(1, nowMs: 55), Is.EqualTo(150).Within(1e-6));
    }

    [Test]
    public void Idle_time_is_not_saved_up()
    {
        var limit = new UploadLimit(1_000_000);
        _ = limit.Book(1_000, nowMs: 0);
        Assert.That(limit.Book(500_000, nowMs: 60_000), Is.Zero);
        Assert.That(limit.Book(1, nowMs: 60_000), Is.EqualTo(500).Within(1e-6));
    }

    [Test]
    public void Pieces_are_small_when_the_limit_is_low()
    {
        Assert.That(new UploadLimit(Limits.StateUploadBytesPerSecondMin).PieceBytes, Is.EqualTo(4096));
        Assert.That(new UploadLimit(10_000_000).PieceBytes, Is.EqualTo(625_000));
        Assert.That(new UploadLimit(0).PieceBytes, Is.EqualTo(int.MaxValue));
        Assert.That(new UploadLimit(0).Book(1L << 40, nowMs: 0), Is.Zero);
    }
}
